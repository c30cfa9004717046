"""The skeleton of a thread that works beside the service until it is stopped."""

from __future__ import annotations

import threading


class StoppableThread(threading.Thread):
    """A thread whose `run` ends soon after `stopping` is set. It never outlives the process.

    Args:
        name: Name of the thread.

    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Stop the thread, and wait until it has ended."""
        self.stopping.set()
        self.join()
