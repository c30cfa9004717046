"""The status of a FraudRule as the resource publishes it; the operator writes it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

_QUALIFIED_NAME = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
_APPLIED = Meta(
    max_length=32,
    pattern=r"^[0-9]+/[0-9]+$",
    description="Detectors that have confirmed `activeGeneration`, of all: 3/3, for example.",
)


def _count(description: str) -> Meta:
    """Annotation of an integer that counts something, as `metadata.generation` counts edits."""
    return Meta(ge=0, description=description, extra_json_schema={"format": "int64"})


class Condition(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A condition of the rule, in the form of Kubernetes' conditions."""

    type: Annotated[
        str,
        Meta(
            max_length=316,
            pattern=_QUALIFIED_NAME,
            description="Type of the condition: Ready, Applied or Exact.",
        ),
    ]
    status: Annotated[
        Literal["True", "False", "Unknown"],
        Meta(description="True if the condition holds, Unknown if that cannot be found out."),
    ]
    reason: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1024,
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            description="Reason for the status, in one word for machines.",
        ),
    ]
    message: Annotated[
        str,
        Meta(max_length=32768, description="Reason for the status, for people, with what to do."),
    ]
    observed_generation: (
        Annotated[int, _count("Generation of spec that the condition belongs to.")] | UnsetType
    ) = UNSET
    last_transition_time: Annotated[
        str,
        Meta(
            description="Time of the last change of `status`.",
            extra_json_schema={"format": "date-time"},
        ),
    ]


class Matches(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Matches of the rule on all detectors together; updated at most once a minute."""

    last_hour: Annotated[int, _count("Matches from `since` to `observedAt`.")]
    enforce: Annotated[int, _count("Those of them in the mode Enforce.")]
    shadow: Annotated[int, _count("Those of them in the mode Shadow.")]
    since: Annotated[
        str,
        Meta(
            description="Beginning of the count: an hour before `observedAt`, or the start of the "
            "newest detector.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    observed_at: Annotated[
        str, Meta(description="Time of the count.", extra_json_schema={"format": "date-time"})
    ]


class Status(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """State of the rule in the cluster. Only the operator writes it."""

    observed_generation: (
        Annotated[int, _count("Generation of spec that the status belongs to.")] | UnsetType
    ) = UNSET
    active_generation: (
        Annotated[int, _count("Generation of spec that is in force, if any.")] | UnsetType
    ) = UNSET
    applied: Annotated[str, _APPLIED] | UnsetType = UNSET
    matches: Matches | UnsetType = UNSET
    warnings: Annotated[
        tuple[Annotated[str, Meta(max_length=1024, description="Warning, with what to do.")], ...],
        Meta(
            max_length=32,
            description="Valid parts of the rule that are likely mistakes.",
            extra_json_schema={"x-kubernetes-list-type": "atomic"},
        ),
    ] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        Meta(
            max_length=8,
            description="Ready: spec is valid. Applied: all detectors have it. Exact, for a rule "
            "with aggregates: its windows lack no records.",
        ),
    ] = ()
