"""The one place that touches numba: a typed `compiled`, and where its cache lies.

numba compiles a function for the processor it runs on, which takes seconds, and
keeps the machine code in files. It would keep them beside the source and would
not notice when a function in *another* module, compiled into the cached one,
has changed. So every version of this package has a folder of its own, named by
the hash of its sources, under `NUMBA_CACHE_DIR` or the user's cache folder
(`XDG_CACHE_HOME`, `~/.cache`), never in the source tree. Where neither can be
written, nothing is kept and each process compiles anew.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Function = TypeVar("Function", bound=Callable[..., object])


class Ints(Protocol):
    """A column of integers as compiled code sees it: a numpy array, its elements plain ints."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...
    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


def cache_folder() -> Path | None:
    """Where this version of the package keeps its machine code; None where nothing can be kept."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    named = os.environ.get("NUMBA_CACHE_DIR")
    try:
        parent = Path(named) if named else _user_folder() / "fraud-detection"
        folder = parent / f"windows-{digest.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


def _user_folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path.home() / ".cache"


FOLDER = cache_folder()

_numba: Any = numba  # its types leave out what is used here

_PART = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
"""`_nrt=False`: no reference counts, which cost more than the work itself. Nothing
compiled here makes an array, and the caller holds those it hands over."""


def compiled(function: Function) -> Function:
    """Compile as a part of the entry points that use it; Python cannot call it."""
    machine_code: Function = _numba.njit(**_PART)(function)
    return machine_code


def inlined(function: Function) -> Function:
    """Compile into each place that calls it."""
    machine_code: Function = _numba.njit(forceinline=True, **_PART)(function)
    return machine_code


def entry_point(function: Function) -> Function:
    """Compile at the first call from Python, or take what an earlier process kept."""
    with _kept_in(FOLDER):
        machine_code: Function = _numba.njit(
            cache=FOLDER is not None, no_cfunc_wrapper=True, _nrt=False
        )(function)
    return machine_code


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[None]:
    """Set where numba keeps a function, which it settles while decorating it."""
    before = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = str(folder or before)
    try:
        yield
    finally:
        _numba.config.CACHE_DIR = before
