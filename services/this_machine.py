"""What local servers ask of this machine: free ports, a cache, and to end with their parent."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import signal
import socket
from pathlib import Path

# Below the ports that Linux gives to outgoing connections (32768 on). A client that tries again and
# again to reach a stopped server on one of those can meet itself there (a TCP simultaneous open),
# and the server then finds its port taken when it comes back.
_PORTS = range(20_000, 30_000)
_PR_SET_PDEATHSIG = 1
# Loaded here, as between fork and exec nothing may take a lock.
_LIBC = ctypes.CDLL(None)


def cache_folder() -> Path:
    """Where fetched things are kept: FRAUD_CACHE, or a folder of ours in the user's cache."""
    if own := os.environ.get("FRAUD_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "fraud-detection"


def free_ports(n: int) -> list[int]:
    """Give ports of the loopback address that nothing listens on."""
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
    """Ask Linux to kill this process when its parent dies, be it by kill -9 (prctl(2)).

    Elsewhere there is no such call, and only an orderly end stops the process.
    """
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
