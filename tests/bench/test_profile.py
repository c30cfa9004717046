"""The profile of the windows measures functions by name, which have to exist."""

from __future__ import annotations

from tests.bench.profiled_detector import _STAGES


def test_each_stage_of_the_profile_is_a_function() -> None:
    missing = [
        f"{stage}: {name}"
        for stage, places in _STAGES.items()
        for holder, name in places
        if not callable(getattr(holder, name, None))
    ]
    assert missing == []
