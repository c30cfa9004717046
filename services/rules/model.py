"""What a FraudRule says, as types: the one model that files and the cluster are read into.

Bounds and descriptions stand on the fields, so that whatever publishes the
resource's schema reads them here too. Reading a document into these types is
`services.rules.manifests`; whether its expression means anything is
`services.rules.compilation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

API_VERSION = "frauddetection.io/v1alpha1"
KIND = "FraudRule"

Mode = Literal["Enforce", "Shadow", "Disabled"]
Action = Literal["Flag", "Allow"]
Severity = Literal["Low", "Medium", "High", "Critical"]
Function = Literal["Count", "CountDistinct", "Sum", "Avg", "Min", "Max"]

# RFC 1123 subdomain, as Kubernetes asks of an object's name.
_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

MAX_EXPRESSION_LENGTH = 4096
MAX_REASON_CODE_LENGTH = 64
# Of a text in an example's transaction.
MAX_TEXT_LENGTH = 1024

# A whole number and a unit, as in 90s. From a second to an hour; longer ones are for later.
WINDOW_PATTERN = r"^[1-9][0-9]{0,3}(s|m|h)$"
MAX_WINDOW_SECONDS = 3600
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


def milliseconds(duration: str) -> int:
    """Read a duration of `WINDOW_PATTERN`."""
    duration = duration.rstrip()  # a newline, which Python lets pass there, is refused later
    return int(duration[:-1]) * _UNIT_SECONDS[duration[-1]] * 1000


class Metadata(msgspec.Struct, frozen=True):
    """The parts of an object's metadata that the engine reads; the rest is the cluster's."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            pattern=_NAME_PATTERN,
            description="The rule's own name, unique in a ruleset.",
        ),
    ]
    generation: Annotated[
        int, Meta(ge=1, description="Counts the edits of spec; the cluster sets it.")
    ] = 1


class Aggregate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A value over a window of transactions up to and with the one that is judged."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            pattern=r"^[a-z][a-zA-Z0-9_]*$",
            description="What the expression calls it.",
        ),
    ]
    function: Annotated[
        Function,
        Meta(
            description="Count and CountDistinct give whole numbers; Sum, Min and Max what `of` "
            "is; Avg a decimal."
        ),
    ]
    group_by: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=63,
            description="The field whose value the transactions share: that which the input topic "
            "is keyed by.",
        ),
    ]
    window: Annotated[
        str,
        Meta(
            max_length=5,
            pattern=WINDOW_PATTERN,
            description="How far it looks back from the transaction's own time, as in 90s, 10m "
            "or 1h.",
        ),
    ]
    of: Annotated[
        str,
        Meta(
            max_length=63,
            description="The field that is added up or compared; Count has none. Money counts "
            "with transactions of the same currency.",
        ),
    ] = ""
    where: Annotated[
        str,
        Meta(
            max_length=1024,
            description="A CEL expression over `transaction`: only those for which it is true "
            "count. All, where it is empty.",
        ),
    ] = ""

    @property
    def window_ms(self) -> int:
        """The window's length in milliseconds."""
        return milliseconds(self.window)


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Transactions that came before an example's own."""

    transaction: Annotated[
        dict[str, Any],
        Meta(max_length=64, description="A transaction, as a producer would write it."),
    ]
    repeat: Annotated[int, Meta(ge=1, le=1000, description="How often it came.")] = 1
    every: Annotated[
        str,
        Meta(
            max_length=5,
            pattern=WINDOW_PATTERN,
            description="How long after each the next one came.",
        ),
    ] = "1s"


class Example(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A transaction and what the rule must say of it."""

    name: Annotated[
        str, Meta(min_length=1, max_length=100, description="What the example shows, in words.")
    ]
    transaction: Annotated[
        dict[str, Any],
        Meta(max_length=64, description="A transaction, as a producer would write it."),
    ]
    expect: Annotated[
        Literal["Match", "NoMatch"], Meta(description="Whether the rule has to match it.")
    ]
    given: Annotated[
        tuple[Given, ...],
        Meta(
            max_length=16,
            description="What came before, the oldest first. Without timestamps, one after the "
            "other until the transaction.",
        ),
    ] = ()


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A rule: when it matches, and what a match is worth."""

    expression: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_EXPRESSION_LENGTH,
            description="A CEL expression over `transaction` and the aggregates; true is a match.",
        ),
    ]
    aggregates: Annotated[
        tuple[Aggregate, ...],
        Meta(
            max_length=8,
            description="Values over windows of earlier transactions, for the expression.",
        ),
    ] = ()
    description: Annotated[
        str,
        Meta(
            max_length=1024,
            description="What the rule is for, in a sentence. Travels with every match.",
        ),
    ] = ""
    mode: Annotated[
        Mode,
        Meta(
            description="Enforce decides; Shadow is counted and explained, but decides nothing; "
            "Disabled is only checked."
        ),
    ] = "Enforce"
    action: Annotated[
        Action, Meta(description="Flag adds the score; Allow wins over every Flag.")
    ] = "Flag"
    score: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="What a match adds. A transaction whose flags add up to the threshold "
            "(100 by default) is fraud.",
        ),
    ] = 100
    severity: Annotated[Severity, Meta(description="How grave a match is, for people.")] = "Medium"
    reason_code: Annotated[
        str,
        Meta(
            max_length=MAX_REASON_CODE_LENGTH,
            pattern=r"^([A-Z][A-Z0-9_]*)?$",
            description="A code for machines; from the name by default.",
        ),
    ] = ""
    examples: Annotated[
        tuple[Example, ...],
        Meta(max_length=32, description="The rule's proof: it cannot go live while one fails."),
    ] = ()


class FraudRule(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One rule, as the resource or the file has it."""

    api_version: Literal["frauddetection.io/v1alpha1"]
    kind: Literal["FraudRule"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        """The rule's name, unique in a ruleset."""
        return self.metadata.name

    @property
    def reason_code(self) -> str:
        """The code that a match carries."""
        return self.spec.reason_code or self.name.upper().replace("-", "_").replace(".", "_")
