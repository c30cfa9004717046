from __future__ import annotations

import threading

import pytest

from services.streams.calls import MOST_OVERDUE, CallOverdueError, Calls
from services.streams.stream import StreamError


def never(forever: threading.Event) -> None:
    forever.wait()


def test_the_result_of_a_call_is_returned() -> None:
    assert Calls(lambda: None).within(60.0, divmod, 7, 2) == (3, 1)


def test_the_error_of_a_call_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Calls(lambda: None).within(60.0, divmod, 7, 0)


def test_a_call_that_does_not_return_is_left_to_its_thread() -> None:
    forever, ticks = threading.Event(), []
    with pytest.raises(CallOverdueError, match="never has not returned"):
        Calls(lambda: ticks.append(1)).within(0.1, never, forever)
    assert ticks
    forever.set()


def test_many_calls_that_do_not_return_end_the_stream() -> None:
    forever, calls = threading.Event(), Calls(lambda: None)
    for _ in range(MOST_OVERDUE - 1):
        with pytest.raises(CallOverdueError):
            calls.within(0.01, never, forever)
    with pytest.raises(StreamError, match="have not returned"):
        calls.within(0.01, never, forever)
    forever.set()


def test_calls_that_returned_late_are_not_counted() -> None:
    calls = Calls(lambda: None)
    for _ in range(2 * MOST_OVERDUE):
        late = threading.Event()
        with pytest.raises(CallOverdueError):
            calls.within(0.01, never, late)
        late.set()
        for thread in threading.enumerate():
            if thread.name == "kafka-call":
                thread.join()


def test_a_client_is_destroyed_in_the_thread_of_the_call() -> None:
    threads = []

    class Client:
        def __del__(self) -> None:
            threads.append(threading.current_thread().name)

    clients: list[object] = [Client()]
    Calls(lambda: None).destroy(clients)
    assert threads == ["kafka-call"]
