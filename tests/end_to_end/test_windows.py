"""Windows are exact: each decision and its explanation equals the oracle's, whatever happens.

Real processes and a real broker. Slow, since each detector takes two seconds to
start and a fault needs time to show; `make soak` runs the same at full size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak import scenarios
from tests.soak.scenarios import Size
from tests.support import oracle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.soak.scenarios import Outcome
    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

RECORDS = 60_000


def test_a_restart_reads_as_much_again_as_windows_reach(broker: Broker, tmp_path: Path) -> None:
    outcome = scenarios.restart_at_the_edge(broker.bootstrap, tmp_path, Size(20, 0))
    legit = 4 * (oracle.BLOCK + 4)
    assert outcome.destinations == {"legit": legit, "timestamp_too_late": 4}


@pytest.mark.parametrize(
    ("scenario", "size"),
    [
        (scenarios.one_detector, Size(RECORDS, 0, seed=1)),
        (scenarios.three_detectors, Size(RECORDS, 0, seed=2)),
        (scenarios.other_settings, Size(RECORDS // 2, 0, seed=7)),
        (scenarios.detectors_come_and_go, Size(RECORDS // 3, 1000, 3, seed=3)),
        (scenarios.killed_detectors, Size(RECORDS // 3, 1000, 3, seed=4)),
        (scenarios.failing_transactions, Size(RECORDS // 3, 2000, seed=5)),
        (scenarios.changing_rules, Size(RECORDS // 2, 2000, seed=6)),
        (scenarios.changing_rules_of_failing_transactions, Size(RECORDS // 4, 1000, seed=8)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_decision_equals_the_oracles(
    broker: Broker,
    tmp_path: Path,
    scenario: Callable[[str, Path, Size], Outcome],
    size: Size,
) -> None:
    outcome = scenario(broker.bootstrap, tmp_path, size)
    assert outcome.records >= size.records
    assert {"fraud", "legit", "timestamp_too_late", "timestamp_in_future"} <= set(
        outcome.destinations
    )
