"""The operator's settings, each an environment variable of the same name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from services.rules import DEFAULT_KEY, DEFAULT_THRESHOLD
from services.settings import ServiceSettings


class OperatorSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the operator reads from its environment."""

    operator_namespace: Annotated[
        str, Meta(description="The namespace it looks after; its own by default.")
    ] = ""
    rules_config_map: Annotated[
        str, Meta(min_length=1, description="The ConfigMap that detectors mount, with the rules.")
    ] = "fraud-detection-rules"
    detectors_config_map: Annotated[
        str, Meta(min_length=1, description="The ConfigMap that tells how each detector stands.")
    ] = "fraud-detection-detectors"
    detector_selector: Annotated[
        str, Meta(min_length=1, description="The labels of detectors' pods, as key=value,…")
    ] = "app.kubernetes.io/component=detector"
    schema_path: Annotated[
        str, Meta(description="The detectors' schema of the transaction; built in by default.")
    ] = ""
    score_threshold: Annotated[
        int, Meta(ge=1, le=1_000_000, description="The detectors' score threshold.")
    ] = DEFAULT_THRESHOLD
    keyed_by: Annotated[
        str,
        Meta(
            min_length=1,
            description="The detectors' KEYED_BY: the field that the input topic is keyed by, or "
            "none.",
        ),
    ] = DEFAULT_KEY
    watch_timeout_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="After so long a watch that is silent is made anew.")
    ] = 70
    webhook_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the admission webhook; 0 is none.")
    ] = 0
    webhook_configuration: Annotated[
        str,
        Meta(
            description="The ValidatingWebhookConfiguration that is given the operator's own "
            "authority; none where cert-manager gives it one."
        ),
    ] = ""
    webhook_host: Annotated[
        str, Meta(description="The name that the API server calls the webhook by.")
    ] = "localhost"
    webhook_certificate_path: Annotated[
        str,
        Meta(
            description="A folder with tls.crt and tls.key, as cert-manager writes them; "
            "without it the operator makes its own."
        ),
    ] = ""
