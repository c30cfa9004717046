"""The FraudRule as types: the one model for files and for the cluster.

Bounds and descriptions are annotations of the fields, so that the generator of the
resource's schema reads them here too. `services.rules.manifests` reads documents into
these types; `services.rules.compilation` checks the expressions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

API_VERSION = "frauddetection.io/v1alpha1"
GROUP, VERSION = API_VERSION.split("/")
KIND = "FraudRule"
PLURAL = "fraudrules"

Mode = Literal["Enforce", "Shadow", "Disabled"]
Action = Literal["Flag", "Allow"]
Severity = Literal["Low", "Medium", "High", "Critical"]
Function = Literal["Count", "CountDistinct", "Sum", "Avg", "Min", "Max"]

# RFC 1123 subdomain, which Kubernetes requires for an object's name.
_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

MAX_EXPRESSION_LENGTH = 4096
MAX_REASON_CODE_LENGTH = 64
# Of a text in an example's transaction.
MAX_TEXT_LENGTH = 1024

# A whole number and a unit, as in 90s, from a second to an hour.
WINDOW_PATTERN = r"^[1-9][0-9]{0,3}(s|m|h)$"
MAX_WINDOW_SECONDS = 3600
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


def milliseconds(duration: str) -> int:
    """Convert a duration of `WINDOW_PATTERN` to milliseconds."""
    duration = duration.rstrip()  # a newline, which Python's `$` accepts, is rejected later
    return int(duration[:-1]) * _UNIT_SECONDS[duration[-1]] * 1000


class Metadata(msgspec.Struct, frozen=True):
    """The parts of an object's metadata that the engine reads; the rest is the cluster's."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            pattern=_NAME_PATTERN,
            description="Name of the rule, unique in a ruleset.",
        ),
    ]
    generation: Annotated[
        int, Meta(ge=1, description="Number of the edit of spec; the cluster sets it.")
    ] = 1


class Aggregate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A value over a window of transactions that ends with the transaction at hand."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            pattern=r"^[a-z][a-zA-Z0-9_]*$",
            description="Name of the aggregate in the expression.",
        ),
    ]
    function: Annotated[
        Function,
        Meta(
            description="How the value is computed. Count and CountDistinct are whole numbers, "
            "Avg is a decimal, and Sum, Min and Max have the type of `of`."
        ),
    ]
    group_by: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            description="Field whose value the transactions of the window share: the key of the "
            "input topic.",
        ),
    ]
    window: Annotated[
        str,
        Meta(
            max_length=5,
            pattern=WINDOW_PATTERN,
            description="Length of the window, which ends at the time of the transaction: 90s, 10m "
            "or 1h, for example; 1h at most.",
        ),
    ]
    of: Annotated[
        str,
        Meta(
            max_length=63,
            description="Field that is added up or compared; not for Count. For money, only "
            "transactions of the same currency count.",
        ),
    ] = ""
    where: Annotated[
        str,
        Meta(
            max_length=1024,
            description="CEL expression over `transaction`: only transactions for which it is true "
            "count. Without it, all of them count.",
        ),
    ] = ""

    @property
    def window_ms(self) -> int:
        """The window's length in milliseconds."""
        return milliseconds(self.window)


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Earlier transactions of an example."""

    transaction: Annotated[
        dict[str, Any],
        Meta(max_length=64, description="Transaction as a producer writes it."),
    ]
    repeat: Annotated[int, Meta(ge=1, le=1000, description="Number of times that it occurs.")] = 1
    every: Annotated[
        str,
        Meta(
            max_length=5,
            pattern=WINDOW_PATTERN,
            description="Time between two occurrences.",
        ),
    ] = "1s"


class Example(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A transaction, and whether the rule has to match it."""

    name: Annotated[
        str, Meta(min_length=1, max_length=100, description="Name of the example: what it shows.")
    ]
    transaction: Annotated[
        dict[str, Any],
        Meta(max_length=64, description="Transaction as a producer writes it."),
    ]
    expect: Annotated[
        Literal["Match", "NoMatch"],
        Meta(description="Match if the rule has to match it, NoMatch if it must not."),
    ]
    given: Annotated[
        tuple[Given, ...],
        Meta(
            max_length=16,
            description="Earlier transactions, the oldest first. Without timestamps they precede "
            "the transaction in this order.",
        ),
    ] = ()


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A rule: its condition, and the effect of a match."""

    expression: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_EXPRESSION_LENGTH,
            description="CEL expression over `transaction` and the aggregates; the rule matches "
            "if it is true.",
        ),
    ]
    aggregates: Annotated[
        tuple[Aggregate, ...],
        Meta(
            max_length=8,
            description="Values over windows of transactions, for use in the expression.",
        ),
    ] = ()
    description: Annotated[
        str,
        Meta(
            max_length=1024,
            description="Purpose of the rule, in a sentence. Part of every explanation.",
        ),
    ] = ""
    mode: Annotated[
        Mode,
        Meta(
            description="Enforce: matches decide. Shadow: matches are counted and explained, but "
            "do not decide. Disabled: the rule is only checked."
        ),
    ] = "Enforce"
    action: Annotated[
        Action,
        Meta(
            description="Flag: a match adds the score. Allow: a match makes the transaction "
            "legit, whatever flags match."
        ),
    ] = "Flag"
    score: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Number that a match adds to the score of the transaction. With a score of "
            "the threshold (100 by default) or more the transaction is fraud.",
        ),
    ] = 100
    severity: Annotated[
        Severity, Meta(description="Severity shown to analysts; it does not affect the verdict.")
    ] = "Medium"
    reason_code: Annotated[
        str,
        Meta(
            max_length=MAX_REASON_CODE_LENGTH,
            pattern=r"^([A-Z][A-Z0-9_]*)?$",
            description="Code for other systems; by default the name of the rule in capitals.",
        ),
    ] = ""
    examples: Annotated[
        tuple[Example, ...],
        Meta(
            max_length=32,
            description="Tests of the rule: it does not go live while one of them fails.",
        ),
    ] = ()


class FraudRule(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One rule, as the resource or the file has it."""

    api_version: Literal["frauddetection.io/v1alpha1"]
    kind: Literal["FraudRule"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        """Name of the rule, unique in a ruleset."""
        return self.metadata.name

    @property
    def reason_code(self) -> str:
        """Code that is part of every match."""
        return self.spec.reason_code or self.name.upper().replace("-", "_").replace(".", "_")
