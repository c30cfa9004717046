"""A program with a node, which a test kills: it prints the node's name and then waits."""

from __future__ import annotations

import sys
import threading

from tools.local_kubernetes import Node


def main() -> None:
    """Start a node and wait without end."""
    with Node() as node:
        sys.stdout.write(f"{node.folder.name}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
