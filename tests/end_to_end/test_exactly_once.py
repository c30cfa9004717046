"""Exactly once, shown by killing: with kill -9, real processes and a real broker.

Slow on purpose: each of the 20 kills needs a start of the detector, about 1.5 s.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.verdicts import problems
from tests.support.streaming import Service, Topics, read_all, until, wait_for
from tools.demo.tally import ends as topic_ends

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

RATE = 4000


def run_with_kills(
    broker: Broker,
    topics: Topics,
    folder: Path,
    kills: int,
    *,
    module: str = "",
    delivery: str = "exactly_once",
) -> list[str]:
    """Kill the detector at random points while transactions flow; what the checker then says."""
    environment = topics.environment(broker) | {"DELIVERY": delivery}
    rng = random.Random(kills)
    generator = Service(
        "generator", environment | {"TRANSACTIONS_PER_SECOND": str(RATE)}, folder / "generator.log"
    )
    detector = Service("detector", environment, folder / "detector.log")
    with generator, detector:
        for n in range(kills):
            until_assigned(detector, n + 1)
            if n % 2:  # else it may be killed before its first transaction
                until_written(broker, topics)
            time.sleep(rng.uniform(0.0, 0.1))  # the random point; there is no condition for it
            detector.kill()
            detector.start(module)
        assert generator.stop() == 0
        written = generator.lines("stopped")[-1]["acknowledged"]
        wait_until_judged(broker, topics, detector)
        assert detector.stop() == 0
    inputs = read_all(broker, [topics.transactions])
    assert len(inputs) == written
    return problems(inputs, read_all(broker, topics.outputs))


def until_assigned(detector: Service, times: int) -> None:
    """Wait until it has had its partitions so many times."""
    until(lambda: len(detector.lines("partitions ready")) >= times, "ready")


def until_written(broker: Broker, topics: Topics) -> None:
    """Wait until the outputs get more records, committed or not."""
    before = topic_ends(broker.bootstrap, topics.outputs)
    until(lambda: topic_ends(broker.bootstrap, topics.outputs) != before, "more is written")


def wait_until_judged(broker: Broker, topics: Topics, detector: Service) -> None:
    """Wait until the detector's group has committed the end of the input."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - only here

    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": f"group-{topics.transactions}",
        }
    )
    partitions = [TopicPartition(topics.transactions, p) for p in range(4)]
    ends = {p: end for (_, p), end in topic_ends(broker.bootstrap, [topics.transactions]).items()}

    def done() -> bool:
        assert detector.alive, detector.text()[-2000:]
        return all(
            p.offset >= ends[p.partition] or not ends[p.partition]
            for p in consumer.committed(partitions)
        )

    until(done, "the input is judged")
    consumer.close()


def test_every_record_has_one_verdict_after_twenty_kills(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    assert run_with_kills(broker, topics, tmp_path, 20) == []


def test_the_checker_notices_what_at_least_once_delivers_twice(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    found = run_with_kills(broker, topics, tmp_path, 10, delivery="at_least_once")
    assert any("more than one verdict" in problem for problem in found)


def test_the_checker_notices_what_a_broken_loop_loses(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    module = "tests.end_to_end.broken_detector"
    found = run_with_kills(broker, topics, tmp_path, 6, module=module, delivery="at_least_once")
    assert any("no verdict" in problem for problem in found)


def test_an_orderly_restart_loses_nothing(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    environment = topics.environment(broker)
    rate = {"TRANSACTIONS_PER_SECOND": str(RATE), "TRANSACTIONS_COUNT": "20000"}
    generator = Service("generator", environment | rate, tmp_path / "generator.log")
    detector = Service("detector", environment, tmp_path / "detector.log")
    with generator, detector:
        wait_for(broker, topics.outputs, 1)
        assert detector.stop() == 0
        detector.start()
        until_assigned(detector, 2)
        assert generator.wait() == 0
        wait_until_judged(broker, topics, detector)
        assert detector.stop() == 0
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []


@pytest.mark.parametrize("names", [("first", "second"), ("", "")], ids=["static", "dynamic"])
def test_two_detectors_share_the_work_and_a_leaving_one_hands_over(
    broker: Broker, topics: Topics, tmp_path: Path, names: tuple[str, str]
) -> None:
    environment = topics.environment(broker)
    rate = {"TRANSACTIONS_PER_SECOND": str(RATE)}
    generator = Service("generator", environment | rate, tmp_path / "generator.log")
    first, second = (
        Service("detector", environment | {"INSTANCE_ID": name}, tmp_path / f"{n}.log")
        for n, name in enumerate(names)
    )
    with generator, first, second:
        until(lambda: any(e["partitions"] for e in second.lines("partitions assigned")), "shared")
        wait_for(broker, topics.outputs, 8000)
        assert second.stop() == 0
        assert generator.stop() == 0
        wait_until_judged(broker, topics, first)
        assert first.stop() == 0
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []


def test_a_detector_without_a_name_takes_over_from_one_that_crashed(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Takes 25 s: the session of the crashed one has to end, and its transaction to be aborted."""
    environment = topics.environment(broker) | {"INSTANCE_ID": ""}
    rate = {"TRANSACTIONS_PER_SECOND": str(RATE)}
    generator = Service("generator", environment | rate, tmp_path / "generator.log")
    first = Service("detector", environment, tmp_path / "first.log")
    second = Service("detector", environment, tmp_path / "second.log")
    with generator, first, second:
        until(lambda: any(e["partitions"] for e in second.lines("partitions assigned")), "shared")
        wait_for(broker, topics.outputs, 8000)
        first.kill()
        assert generator.stop() == 0
        wait_until_judged(broker, topics, second)
        assert second.stop() == 0
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []


def test_transactions_that_fail_are_given_up_and_read_again(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    environment = topics.environment(broker)
    rate = {"TRANSACTIONS_PER_SECOND": "500"}
    generator = Service("generator", environment | rate, tmp_path / "generator.log")
    detector = Service("detector", environment, tmp_path / "detector.log")
    with generator, detector:
        detector.kill()
        detector.start("tests.end_to_end.failing_detector")
        until(lambda: len(detector.lines("transaction aborted")) > 5, "six are given up", 300.0)
        assert generator.stop() == 0
        wait_until_judged(broker, topics, detector)
        detector.kill()
    assert not detector.lines("session ended")
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []


def test_partitions_that_a_crash_in_a_rebalance_left_to_no_one_find_an_owner(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    environment = topics.environment(broker)
    rate = {"TRANSACTIONS_PER_SECOND": "1000"}
    generator = Service("generator", environment | rate, tmp_path / "generator.log")
    first = Service("detector", environment, tmp_path / "first.log")
    second = Service("detector", environment | {"INSTANCE_ID": "second"}, tmp_path / "second.log")
    with generator, first:
        first.kill()
        first.start("tests.end_to_end.leaving_detector")
        until_assigned(first, 1)
        with second:
            until(lambda: not first.alive, "the first dies in the rebalance")
            first.start()
            event = "partitions without an owner"
            until(lambda: first.lines(event) or second.lines(event), "seen by one of them")
            until(
                lambda: sum(len(e["partitions"]) for e in second.lines("partitions assigned")) > 1,
                "shared",
            )
            assert generator.stop() == 0
            wait_until_judged(broker, topics, first)
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []
