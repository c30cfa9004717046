"""The detector's settings, each from the environment variable of the same name in capitals."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from services.rules import DEFAULT_KEY, DEFAULT_THRESHOLD
from services.settings import KafkaSettings


class DetectorSettings(KafkaSettings, frozen=True, kw_only=True):
    """Environment variables of the detector."""

    legit_topic: Annotated[str, Meta(description="Where legit transactions go.")] = (
        "streaming.transactions.legit"
    )
    fraud_topic: Annotated[str, Meta(description="Where frauds go.")] = (
        "streaming.transactions.fraud"
    )
    dead_letter_topic: Annotated[str, Meta(description="Topic for records that are rejected.")] = (
        "streaming.transactions.dead-letters"
    )
    rules_path: Annotated[str, Meta(description="A file or a folder of FraudRules.")] = "k8s/rules"
    schema_path: Annotated[
        str, Meta(description="A schema of the transaction; the built-in one by default.")
    ] = ""
    score_threshold: Annotated[
        int, Meta(ge=1, le=1_000_000, description="The score from which a transaction is fraud.")
    ] = DEFAULT_THRESHOLD
    max_future_seconds: Annotated[
        float, Meta(ge=0, description="How far a timestamp may lie after its record's.")
    ] = 300.0
    max_late_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="How far a timestamp may lie before its partition's stream time.",
        ),
    ] = 300.0
    keyed_by: Annotated[
        str,
        Meta(
            min_length=1,
            description="The field that the input topic is keyed by, which aggregates may group "
            "by; `none` for a topic without keys.",
        ),
    ] = DEFAULT_KEY
    consumer_group: Annotated[str, Meta(min_length=1, description="Shared by all detectors.")] = (
        "fraud-detector"
    )
    instance_id: Annotated[
        str,
        Meta(
            description="This detector's own name, kept across restarts: static membership in the "
            "group. Without it membership is dynamic."
        ),
    ] = ""
    delivery: Annotated[
        Literal["exactly_once", "at_least_once"],
        Meta(description="at_least_once is for comparison."),
    ] = "exactly_once"
