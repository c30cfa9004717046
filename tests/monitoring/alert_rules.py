"""The chart's alerts as a plain rule file, which Prometheus and promtool read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path("charts/fraud-detection")
_PLACEHOLDER = re.compile(r"\$\((\w+)\)")
_DURATION = re.compile(r"\b(\d+)([mhd])\b(?=\]|$)", re.MULTILINE)
_OFFSET = re.compile(r"offset (\d+)h\b")
_SCALED = {"m": 1, "h": 60, "d": 24 * 60}


def rule_file(selector: str = "", **thresholds: float | str) -> str:
    """Fill in the rules as the chart's template does.

    Args:
        selector: the label that all metrics have, as in namespace="fraud".
        thresholds: other values than the chart's own.

    """
    alerts = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["alerts"]
    filled = alerts["thresholds"] | thresholds
    filled |= {"selector": selector, "runbooks": alerts["runbooks"]}
    text = (CHART / "files" / "alerts.yaml").read_text("utf-8")
    return _PLACEHOLDER.sub(lambda found: _text(filled[found[1]]), text)


def alerts(text: str) -> list[dict[str, Any]]:
    """The alerts of a rule file."""
    groups = yaml.safe_load(text)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def a_second_for_a_minute(text: str) -> str:
    """Shorten all times of a rule file, the windows and the waits, to a sixtieth."""
    shortened = _DURATION.sub(lambda found: f"{int(found[1]) * _SCALED[found[2]]}s", text)
    return _OFFSET.sub(lambda found: f"offset {int(found[1]) * 60}s", shortened)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else json.dumps(value)
