"""The rules of the scenarios: manifests as data, and beside each what it means in Python.

Together they use each function, conditions on what is counted, two windows of
one function, aggregates that two rules share, aggregates without a value, sums
that no int64 holds, and conditions that fail.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.manifests import fraud_rule
from tests.support.oracle import RuleVersion, Schema, both, either, milliseconds

if TYPE_CHECKING:
    from pathlib import Path

# A schema in which nearly everything may be missing.
SCHEMA = Schema(
    kinds={
        "source": "string",
        "target": "string",
        "amount": "double",
        "currency": "currency",
        "id": "string",
        "timestamp": "timestamp",
        "channel": "string",
        "device": "string",
        "points": "int",
        "trusted": "bool",
    },
    required=("target",),
    money={"amount": "currency"},
)
AMOUNT_BOUNDS = {"exclusiveMinimum": 0, "maximum": 1_000_000_000_000}


def schema_text() -> str:
    """Write the schema as the detector's SCHEMA_PATH wants it."""
    fields = [
        {
            "name": name,
            "type": kind,
            "required": name in SCHEMA.required,
            **({"currency": SCHEMA.money[name], **AMOUNT_BOUNDS} if name in SCHEMA.money else {}),
            **({"minimum": "2000-01-01T00:00:00Z"} if kind == "timestamp" else {}),
        }
        for name, kind in SCHEMA.kinds.items()
    ]
    return json.dumps({"fields": fields})


def rule(
    name: str,
    expression: str,
    aggregates: tuple[dict[str, str], ...] = (),
    generation: int = 1,
    **spec: Any,
) -> dict[str, Any]:
    """A rule's manifest."""
    if aggregates:
        spec["aggregates"] = list(aggregates)
    return fraud_rule(name, generation, expression=expression, **spec)


def aggregate(name: str, function: str, window: str, of: str = "", where: str = "") -> Any:
    """One aggregate, grouped by the source."""
    told = {"name": name, "function": function, "of": of, "groupBy": "source", "window": window}
    return {key: value for key, value in {**told, "where": where}.items() if value}


def write(folder: Path, version: RuleVersion) -> None:
    """Put a rule into a folder as a file, whole at once: JSON is YAML."""
    beside = folder.parent / f"{version.name}.new"
    beside.write_text(json.dumps(version.manifest, indent=1), encoding="utf-8")
    beside.rename(folder / f"{version.name}.yaml")


# Only what is used with the rules before there were windows.
STATELESS = (
    RuleVersion(
        rule("high-amount", "transaction.amount >= 4000.0", score=100, severity="High"),
        lambda t, _: t.amount >= 4000.0,
    ),
    RuleVersion(
        rule(
            "untrusted-web",
            'has(transaction.trusted) && !transaction.trusted && transaction.channel == "web"',
            score=60,
            description="Not trusted, and on the web.",
        ),
        lambda t, _: t.given.get("trusted") is False and t.channel == "web",
    ),
)

SMALL = "transaction.amount < 5.0"
SPENT = aggregate("spent", "Sum", "5m", "amount")
MANY_TARGETS = RuleVersion(
    rule(
        "many-targets",
        "targets >= 14",
        (aggregate("targets", "CountDistinct", "10m", "target"),),
        score=60,
        reasonCode="SPREAD",
    ),
    lambda _, a: a["targets"] >= 14,
)
HURRY = RuleVersion(
    rule(
        "hurry",
        "burst >= 3 && burst * 2 > lately",
        (aggregate("burst", "Count", "10s"), aggregate("lately", "Count", "10m")),
        score=50,
    ),
    lambda _, a: a["burst"] >= 3 and a["burst"] * 2 > a["lately"],
)

RULES = (
    *STATELESS,
    MANY_TARGETS,
    HURRY,
    RuleVersion(
        rule(
            "card-testing",
            "tests >= 3 && transaction.amount > 200.0",
            (aggregate("tests", "Count", "1m", where=SMALL),),
            severity="Critical",
            description="Small payments, then a large one.",
        ),
        lambda t, a: a["tests"] >= 3 and t.amount > 200.0,
        {"tests": lambda t: t.amount < 5.0},
    ),
    RuleVersion(
        rule(
            "draining",
            "payments >= 4 && spent > 2500.0",
            (aggregate("payments", "Count", "5m"), SPENT),
            score=50,
        ),
        lambda _, a: a["payments"] >= 4 and a["spent"] > 2500.0,
    ),
    # Shares a window with the rule above, under another name, and one that differs by its where.
    RuleVersion(
        rule(
            "draining-much",
            "total > 6000.0 && total - small > 100.0",
            (
                aggregate("small", "Sum", "5m", "amount", SMALL),
                {**SPENT, "name": "total"},
            ),
            score=70,
        ),
        lambda _, a: a["total"] > 6000.0 and a["total"] - a["small"] > 100.0,
        {"small": lambda t: t.amount < 5.0},
    ),
    RuleVersion(
        rule(
            "unusual-amount",
            "before > 5 && transaction.amount > 4.0 * usual && transaction.amount >= largest",
            (
                aggregate("usual", "Avg", "1h", "amount"),
                aggregate("before", "Count", "1h"),
                aggregate("largest", "Max", "1h", "amount"),
            ),
            score=40,
        ),
        lambda t, a: both(
            lambda: a["before"] > 5,
            lambda: t.amount > 4.0 * a["usual"],
            lambda: t.amount >= a["largest"],
        ),
    ),
    # Matches although `smallest` may have no value: its explanation then has a null.
    RuleVersion(
        rule(
            "small-on-the-web",
            "transaction.amount > 3000.0 || smallest < 1.5",
            (aggregate("smallest", "Min", "10m", "amount", 'transaction.channel == "web"'),),
            score=30,
        ),
        lambda t, a: either(lambda: t.amount > 3000.0, lambda: a["smallest"] < 1.5),
        {"smallest": lambda t: t.channel == "web"},
    ),
    RuleVersion(
        rule(
            "points",
            "collected > 300 || (lowest < -95 && highest > 95) || mean > 97.0",
            (
                aggregate("collected", "Sum", "1m", "points"),
                aggregate("mean", "Avg", "1m", "points"),
                aggregate("lowest", "Min", "1m", "points"),
                aggregate("highest", "Max", "1m", "points"),
            ),
            mode="Shadow",
        ),
        lambda _, a: either(
            lambda: a["collected"] > 300,
            lambda: both(lambda: a["lowest"] < -95, lambda: a["highest"] > 95),
            lambda: a["mean"] > 97.0,
        ),
    ),
    RuleVersion(
        rule(
            "many-kinds",
            "devices >= 8 || currencies >= 3 && trusts == 2 && numbers > 10",
            (
                aggregate("devices", "CountDistinct", "1h", "device"),
                aggregate("currencies", "CountDistinct", "30m", "currency"),
                aggregate("trusts", "CountDistinct", "30m", "trusted"),
                aggregate("numbers", "CountDistinct", "30m", "points"),
            ),
            mode="Shadow",
        ),
        lambda _, a: (
            a["devices"] >= 8 or (a["currencies"] >= 3 and a["trusts"] == 2 and a["numbers"] > 10)
        ),
    ),
    # Its where divides by the points, and fails where they are 0 or missing.
    RuleVersion(
        rule(
            "lucky",
            "luck >= 9 && luck == luckOnceMore",
            (
                aggregate("luck", "Count", "10m", where="10 / transaction.points >= 2"),
                aggregate("luckOnceMore", "Count", "10m", where="10 / transaction.points >= 2"),
            ),
            score=20,
        ),
        lambda _, a: a["luck"] >= 9,
        dict.fromkeys(("luck", "luckOnceMore"), lambda t: int(10 / t.points) >= 2),
    ),
    RuleVersion(
        rule(
            "well-known",
            "seen >= 50 && transaction.trusted",
            (aggregate("seen", "Count", "1h", where="transaction.trusted"),),
            action="Allow",
        ),
        lambda t, a: a["seen"] >= 50 and t.trusted,
        {"seen": lambda t: t.trusted},
    ),
    # Of nobody nothing is counted, not even the transaction itself.
    RuleVersion(
        rule(
            "nobody",
            "mine == 0 && spent == 0.0",
            (aggregate("mine", "Count", "1m"), SPENT),
            score=10,
        ),
        lambda _, a: a["mine"] == 0 and a["spent"] == 0.0,
    ),
)

# Those without windows of more than ten minutes.
SHORT = tuple(
    version
    for version in RULES
    if all(
        milliseconds(each["window"]) <= 600_000
        for each in version.manifest["spec"].get("aggregates", [])
    )
)

# Matches whatever an account pays, and so tells of each what is in its longest window.
ALL_OF_AN_HOUR = RuleVersion(
    rule(
        "all-of-an-hour",
        "payments > 0",
        (aggregate("payments", "Count", "1h"), aggregate("paid", "Sum", "1h", "amount")),
        mode="Shadow",
    ),
    lambda _, a: a["payments"] > 0,
)

# A rule that comes later, and later versions of two: other windows; only another expression.
ADDED = RuleVersion(
    rule(
        "steady-drip",
        "drips >= 6 && most < 60.0",
        (
            aggregate("drips", "Count", "15m"),
            aggregate("most", "Max", "15m", "amount"),
        ),
        score=80,
    ),
    lambda _, a: both(lambda: a["drips"] >= 6, lambda: a["most"] < 60.0),
)
OTHER_WINDOWS = RuleVersion(
    rule(
        "many-targets",
        "targets >= 16 && crowd >= 3",
        (
            aggregate("targets", "CountDistinct", "20m", "target", "transaction.amount >= 10.0"),
            aggregate("crowd", "Count", "3m"),
        ),
        generation=2,
        score=60,
    ),
    lambda _, a: a["targets"] >= 16 and a["crowd"] >= 3,
    {"targets": lambda t: t.amount >= 10.0},
)
OTHER_EXPRESSION = RuleVersion(
    rule(
        "hurry",
        "burst >= 2 && burst * 3 > lately",
        (aggregate("burst", "Count", "10s"), aggregate("lately", "Count", "10m")),
        generation=2,
        score=50,
    ),
    lambda _, a: a["burst"] >= 2 and a["burst"] * 3 > a["lately"],
)
