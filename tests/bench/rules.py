"""Stateless rules for the benchmark: ten kinds, each with constants of its own.

The first is the seed's; the others match seldom, as rules do, and most of them
look at two fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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


def write_rules(folder: Path, n: int) -> Path:
    """Write n rules into a folder of their own."""
    target = folder / f"rules-{n}"
    target.mkdir()
    for i in range(n):
        kind, round_ = _KINDS[i % len(_KINDS)], i // len(_KINDS)
        expression = kind.format(
            high=900.0 + 9 * round_, currency="EUR", prefix=f"{round_}zz", n=round_ + 1
        )
        (target / f"r{i:03}.yaml").write_text(
            "apiVersion: frauddetection.io/v1alpha1\nkind: FraudRule\n"
            f"metadata: {{name: r{i:03}}}\nspec: {{expression: {json.dumps(expression)}}}\n",
            encoding="utf-8",
        )
    return target
