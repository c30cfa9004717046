"""Blocking calls of a Kafka client, each with a deadline that is enforced from outside the client.

librdkafka ignores the timeout of `send_offsets_to_transaction` (its issue 5456),
may wait forever for a coordinator whose broker was missing from the metadata for
a moment (5511), and may do the same while a consumer is closed (4674). So these
calls run in threads. A client whose call is overdue is abandoned: no code uses it
again, the thread keeps it alive, and the caller continues with another client,
which fences the abandoned one.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from services.streams.stream import StreamError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

# How often a wait shows that the loop is alive.
TICK_SECONDS = 1.0
# This many calls that never returned are no coincidence, and each holds the memory of a client.
MOST_OVERDUE = 5
# How long a client may take to end.
DESTROY_SECONDS = 5.0


class CallOverdueError(Exception):
    """A call of the Kafka client did not return in time; its client must not be used again."""


class Calls:
    """Runs blocking calls in threads, and waits for each for a bounded time.

    Args:
        tick: Called about once a second during the wait for a call.

    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._overdue: list[threading.Thread] = []

    def within(self, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call and wait for the result.

        Args:
            seconds: Longest time to wait, in seconds.
            call: Function that may block; its exceptions are raised here.
            *args: Positional arguments of `call`.
            **kwargs: Keyword arguments of `call`.

        Raises:
            CallOverdueError: The call has not returned in time. It continues in its thread.
            StreamError: Too many calls are overdue; the process should be replaced.

        """
        results: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                results.append(call(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                # With a traceback, the error would hold this frame, and so the call's client.
                errors.append(error.with_traceback(None))
            finally:
                done.set()

        thread = threading.Thread(target=work, name="kafka-call", daemon=True)
        thread.start()
        deadline = time.monotonic() + seconds
        while not done.wait(min(TICK_SECONDS, max(deadline - time.monotonic(), 0))):
            self._tick()
            if time.monotonic() >= deadline:
                self._abandon(thread, call, seconds)
        if errors:
            raise errors.pop()
        return results.pop()

    def destroy(self, clients: list[object]) -> None:
        """Destroy the clients of a list, which must hold the only reference to each.

        A client that does not end in time is counted as overdue; its thread keeps it.
        """

        def destroy() -> None:
            clients.clear()

        with suppress(CallOverdueError):
            self.within(DESTROY_SECONDS, destroy)

    def _abandon(
        self, thread: threading.Thread, call: Callable[..., object], seconds: float
    ) -> None:
        self._overdue = [one for one in self._overdue if one.is_alive()] + [thread]
        name = getattr(call, "__name__", repr(call))
        if len(self._overdue) >= MOST_OVERDUE:
            raise StreamError(
                f"{len(self._overdue)} calls of the Kafka client have not returned, the last is "
                f"{name}; expected each within its time; the process ends, start it again"
            )
        raise CallOverdueError(f"{name} has not returned after {seconds:.0f} s")
