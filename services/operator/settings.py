"""The operator's settings, each from the environment variable of the same name in capitals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from services.rules import DEFAULT_KEY, DEFAULT_THRESHOLD
from services.settings import ServiceSettings


class OperatorSettings(ServiceSettings, frozen=True, kw_only=True):
    """Environment variables of the operator."""

    operator_namespace: Annotated[
        str, Meta(description="Namespace whose rules it reconciles; by default its own.")
    ] = ""
    rules_config_map: Annotated[
        str, Meta(min_length=1, description="The ConfigMap that detectors mount, with the rules.")
    ] = "fraud-detection-rules"
    detectors_config_map: Annotated[
        str, Meta(min_length=1, description="ConfigMap with the state of each detector.")
    ] = "fraud-detection-detectors"
    config_map_owner: Annotated[
        str,
        Meta(
            description="The ServiceAccount that owns both ConfigMaps: they are deleted with it. "
            "They stay without one."
        ),
    ] = ""
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
        int, Meta(ge=1, le=3600, description="Time after which a watch without events is replaced.")
    ] = 70
    webhook_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the admission webhook; 0 for no webhook.")
    ] = 0
    webhook_configuration: Annotated[
        str,
        Meta(
            description="The ValidatingWebhookConfiguration of the webhook; the operator is ready "
            "when its caBundle fits the certificate. With a certificate of its own making the "
            "operator writes the caBundle too."
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
