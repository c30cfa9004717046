"""A detector that dies when partitions are to move: between the two steps of a rebalance."""

from __future__ import annotations

import os
import sys

from services.detector.__main__ import main
from services.streams.session import Session

if __name__ == "__main__":
    Session._on_revoke = lambda *_: os._exit(9)  # type: ignore[method-assign]
    sys.exit(main())
