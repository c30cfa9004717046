"""The only module that uses numba: a typed `compiled`, and the location of its cache.

numba compiles a function for the processor it runs on, which takes seconds, and
keeps the machine code in files. It would keep them beside the source and would
not notice when a function in *another* module, compiled into the cached one,
has changed. So every version of a package with compiled code has a folder, named
by the hash of its sources, under `NUMBA_CACHE_DIR` or the user's cache folder
(`XDG_CACHE_HOME`, `~/.cache`), never in the source tree. Where neither can be
written, nothing is kept and each process compiles everything again.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Function = TypeVar("Function", bound=Callable[..., object])


class Ints(Protocol):
    """A column of integers as compiled code sees it: a numpy array whose items are plain ints."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...
    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


def cache_folder(package: Path) -> Path | None:
    """Folder for the machine code of one version of a package; None if nothing can be kept.

    Args:
        package: Folder of the package's sources. Its compiled code may call this
            module and itself, but no other package's compiled code.

    """
    digest = hashlib.sha256()
    for source in (Path(__file__), *sorted(package.glob("*.py"))):
        digest.update(source.read_bytes())
    named = os.environ.get("NUMBA_CACHE_DIR")
    try:
        parent = Path(named) if named else _user_folder() / "fraud-detection"
        folder = parent / f"{package.name}-{digest.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


def _user_folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path.home() / ".cache"


_numba: Any = numba  # its types leave out what is used here

_PART = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
"""`_nrt=False`: no reference counts, which cost more than the work itself. No compiled
function makes an array, and the caller holds the arrays that it passes."""


def compiled(function: Function) -> Function:
    """Compile a function as part of the entry points that use it; Python cannot call it."""
    machine_code: Function = _numba.njit(**_PART)(function)
    return machine_code


def inlined(function: Function) -> Function:
    """Compile a function into each place that calls it."""
    machine_code: Function = _numba.njit(forceinline=True, **_PART)(function)
    return machine_code


@inlined
def unsigned(number: int) -> int:
    """Take an int64 mod 2^64: compiled code may only let unsigned numbers overflow."""
    return np.uint64(number)  # type: ignore[return-value]


@inlined
def signed(number: int) -> int:
    """Take a number mod 2^64 for the int64 that it stands for."""
    return np.int64(number)  # type: ignore[return-value]


def entry_point(function: Function) -> Function:
    """Compile at the first call from Python, or take what an earlier process kept."""
    folder = cache_folder(Path(function.__code__.co_filename).parent)
    with _kept_in(folder):
        machine_code: Function = _numba.njit(
            cache=folder is not None, no_cfunc_wrapper=True, _nrt=False
        )(function)
    return machine_code


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[None]:
    """Set numba's cache folder, which it reads while it decorates a function."""
    before = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = str(folder or before)
    try:
        yield
    finally:
        _numba.config.CACHE_DIR = before
