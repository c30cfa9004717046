"""Functions for local servers: free ports, a cache folder, and an end with their parent."""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import random
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below the ports that Linux uses for outgoing connections (32768 and up). A client that retries a
# connection to a stopped server on such a port can connect to itself (a TCP simultaneous open),
# and the restarted server then finds its port in use.
_PORTS = range(20_000, 30_000)
_PR_SET_PDEATHSIG = 1
# Loaded here, because no lock may be acquired between fork and exec.
_LIBC = ctypes.CDLL(None)


def cache_folder() -> Path:
    """Return the cache folder: FRAUD_CACHE, or a folder in the user's cache."""
    if own := os.environ.get("FRAUD_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "fraud-detection"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that one process at a time can have; it ends with the process.

    Args:
        file: File to lock. It is created, in a folder that exists, and stays.

    """
    with file.open("a", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def free_ports(n: int) -> list[int]:
    """Return ports of the loopback address on which nothing listens."""
    candidates = random.SystemRandom().sample(_PORTS, len(_PORTS))
    return list(itertools.islice(filter(_is_free, candidates), n))


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, even after kill -9 (prctl(2)).

    Other systems have no such call; there only an orderly end stops the process.
    """
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
