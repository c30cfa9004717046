"""Jars of a list with checksums, downloaded once from a Maven repository into the cache.

A list is a file in the format of `sha256sum`: a line for each jar, with its SHA-256 and its
path in Maven's repository layout. Jars are collected in a folder that gets its final name
when it is complete. Partial downloads are kept beside it, so an interrupted download continues
where it stopped.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tools.local_kafka.errors import DistributionError
from tools.local_kafka.repository import local_repository, repository
from tools.this_machine import cache_folder, locked

if TYPE_CHECKING:
    from pathlib import Path

_AT_ONCE = 8
_ATTEMPTS = 5
# Before the second attempt; doubled before each further one.
_PAUSE_SECONDS = 0.5
# A connection is closed after this long without a byte.
_SILENCE_SECONDS = 60.0
# Answers that may change a moment later.
_TRANSIENT = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS})


class Jar(NamedTuple):
    """One line of a list."""

    sha256: str
    path: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.rpartition("/")[2]


def read_list(file: Path) -> list[Jar]:
    """Read a list of jars."""
    return [Jar(*line.split()) for line in file.read_text(encoding="utf-8").splitlines()]


def provide(file: Path) -> Path:
    """Return the folder with all jars of a list; missing ones are downloaded.

    Args:
        file: Path of the list. A changed list has another folder.

    Raises:
        DistributionError: A jar cannot be downloaded or differs from the list, or the cache cannot
            be written.

    """
    key = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"{file.stem}-jars-{key}"
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            if not folder.exists():  # another process may have been faster
                _download_all(read_list(file), folder)
    except OSError as error:
        raise _unwritable(error) from None
    return folder


def _download_all(jars: list[Jar], folder: Path) -> None:
    base = repository()
    sys.stderr.write(f"downloading {len(jars)} jars from {base} into {folder} (once) ...\n")
    parts = folder.with_suffix(".part")
    parts.mkdir(exist_ok=True)
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for _ in pool.map(lambda jar: _provide_one(jar, parts, base), jars):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    parts.rename(folder)


def _provide_one(jar: Jar, folder: Path, base: str) -> None:
    target, part = folder / jar.name, folder / f"{jar.name}.part"
    if target.exists():  # it was verified before it got its name
        return
    if _digest(kept := local_repository() / jar.path) == jar.sha256:
        shutil.copyfile(kept, part)
    else:
        _download(jar, part, f"{base}/{jar.path}")
    part.replace(target)


def _download(jar: Jar, part: Path, url: str) -> None:
    """Download until the part has the right checksum, with a limited number of attempts."""
    found = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            _receive(url, part)
        except HTTPError as error:
            found = f"the answer was {error.code} {error.reason}"
            if error.code not in _TRANSIENT:
                break
            part.unlink(missing_ok=True)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            found = str(error) or type(error).__name__
        else:
            if (digest := _digest(part)) == jar.sha256:
                return
            found = f"its SHA-256 is {digest}; expected {jar.sha256}"
            part.unlink()
    raise DistributionError(
        f"{url} cannot be downloaded: {found}; check the network, or set MAVEN_REPOSITORY to the "
        "address of a Maven repository that this machine reaches, and run it again"
    )


def _receive(url: str, part: Path) -> None:
    """Download a URL to a file, from the first byte that the file lacks."""
    start = part.stat().st_size if part.exists() else 0
    rest = {"Range": f"bytes={start}-"} if start else {}
    request = Request(url, headers=rest)  # noqa: S310 - the address of Maven, or of the user
    with urlopen(request, timeout=_SILENCE_SECONDS) as answer:  # noqa: S310
        begun = start if answer.status == 206 else 0  # Partial Content
        length = answer.headers["Content-Length"]
        with part.open("ab" if begun else "wb") as file:
            shutil.copyfileobj(answer, file)
            received = file.tell() - begun
    if length is not None and received < int(length):
        raise ConnectionError(f"the connection ended after {received} of {length} bytes")


def _digest(file: Path) -> str:
    """SHA-256 of a file; empty if there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def _unwritable(error: OSError) -> DistributionError:
    return DistributionError(
        f"{error.filename or cache_folder()} cannot be written: {error.strerror}; "
        "make room there, or set FRAUD_CACHE to another folder"
    )
