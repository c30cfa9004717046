"""Rules for the benchmark: ten kinds without windows, each with constants of its own, and two with.

The first is the seed's; the others match seldom, as rules do, and most of them
look at two fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_KINDS = (
    "transaction.amount >= {high}",
    'transaction.amount >= 800.0 && transaction.currency == "{currency}"',
    'transaction.source.startsWith("{prefix}")',
    "transaction.source == transaction.target && transaction.amount > {n}.0",
    'has(transaction.country) && transaction.country in ["{currency}", "KP", "IR"]',
    'transaction.target.endsWith("{prefix}") && transaction.amount < 50.0',
    "transaction.amount == {n}.25",
    "size(transaction.source) != 12 && transaction.amount > {n}.0",
    'transaction.currency != "USD" && transaction.amount * 1.1 > {n}.0',
    "transaction.timestamp.getHours() > 24 || transaction.amount < 1.0 - {n}.0",
)
# As in tests/bench/kafka_streams, where a limit is a number of the currency's smallest units.
WINDOWS: tuple[dict[str, Any], ...] = (
    {
        "expression": "payments >= 10",
        "aggregates": [
            {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"}
        ],
    },
    {
        "expression": 'paid >= (transaction.currency == "JPY" ? 4500000.0 : '
        'transaction.currency == "KWD" ? 4500.0 : 45000.0)',
        "aggregates": [
            {
                "name": "paid",
                "function": "Sum",
                "of": "amount",
                "groupBy": "source",
                "window": "1h",
            }
        ],
    },
)
STATELESS = 8
"""How many rules go with those two."""


def write_window_rules(folder: Path) -> Path:
    """Write the rules with windows, and those beside them, into a folder of their own."""
    target = write_rules(folder, STATELESS).rename(folder / "rules-windows")
    for i, spec in enumerate(WINDOWS, STATELESS):
        _write(target, i, spec)
    return target


def write_rules(folder: Path, n: int) -> Path:
    """Write n rules into a folder of their own."""
    target = folder / f"rules-{n}"
    target.mkdir()
    for i in range(n):
        kind, round_ = _KINDS[i % len(_KINDS)], i // len(_KINDS)
        expression = kind.format(
            high=900.0 + 9 * round_, currency="EUR", prefix=f"{round_}zz", n=round_ + 1
        )
        _write(target, i, {"expression": expression})
    return target


def _write(folder: Path, i: int, spec: dict[str, Any]) -> None:
    """Write a rule; JSON is YAML too."""
    (folder / f"r{i:03}.yaml").write_text(
        "apiVersion: frauddetection.io/v1alpha1\nkind: FraudRule\n"
        f"metadata: {{name: r{i:03}}}\nspec: {json.dumps(spec)}\n",
        encoding="utf-8",
    )
