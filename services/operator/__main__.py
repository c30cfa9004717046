"""`python -m services.operator`: carry FraudRules to the detectors until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from pathlib import Path

import kopf
import structlog
from lightkube import ConfigError

from services.operator.cluster import Cluster
from services.operator.handlers import Handlers
from services.operator.reconciler import Reconciler
from services.operator.rulebook import Rulebook
from services.operator.settings import OperatorSettings
from services.operator.webhook_certificates import OwnCertificates
from services.rules import Compiler
from services.rules.keys import complaint_of_key
from services.settings import SettingError, load
from services.telemetry import StatusServer, configure_logs, metrics
from services.transactions import SchemaError, load_schema

log = structlog.get_logger()

# A round takes seconds at most; while the API server is away it ends with an error.
STANDSTILL_SECONDS = 60.0
USAGE_ERROR = 2


def main() -> int:
    """Run the operator; the exit code is 0 after a stop that was asked for."""
    try:
        settings = load(OperatorSettings, os.environ)
        configure_logs("operator", settings.log_level)
        for chatty in ("httpx2", "kopf.objects"):  # a line for each request, and for each event
            logging.getLogger(chatty).setLevel(logging.WARNING)
        logging.getLogger("kopf.objects").addFilter(_is_ours)
        asyncio.run(_run(settings))
    except (SettingError, SchemaError) as error:
        sys.stderr.write(f"operator: {error}\n")
        return USAGE_ERROR
    except ConfigError as error:
        sys.stderr.write(f"operator: no way to a cluster: {error}; KUBECONFIG names a file\n")
        return USAGE_ERROR
    log.info("stopped")
    return 0


async def _run(settings: OperatorSettings) -> None:
    schema = load_schema(Path(settings.schema_path) if settings.schema_path else None)
    if complaint := complaint_of_key(schema, settings.keyed_by):
        raise SettingError(f"KEYED_BY: {complaint}")
    compiler = Compiler(schema, settings.keyed_by)
    cluster = Cluster(settings.operator_namespace)
    reconciler = Reconciler(
        cluster,
        Rulebook(compiler, settings.score_threshold),
        rules_config_map=settings.rules_config_map,
        detectors_config_map=settings.detectors_config_map,
        labels=_labels(settings.detector_selector),
        keyed_by=compiler.keyed_by,
    )
    own = settings.webhook_port and not settings.webhook_certificate_path
    certificates = (
        OwnCertificates(settings.webhook_host, cluster, settings.webhook_configuration)
        if own
        else None
    )
    status = StatusServer(
        settings.status_port,
        live=lambda: _live(reconciler),
        ready=lambda: None if reconciler.ready else "no round is finished yet",
        pages={},
        registry=metrics.OPERATOR,
    )
    port = status.start()
    log.info("started", status_port=port, namespace=cluster.namespace)
    try:
        await kopf.operator(
            registry=Handlers(reconciler, compiler, settings, certificates).registry,
            namespaces=[cluster.namespace],
        )
    finally:
        if certificates is not None:
            certificates.close()
        await cluster.close()
        status.stop()


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record of kopf's is about us: a rule that was refused is its author's affair."""
    return not (record.exc_info and isinstance(record.exc_info[1], kopf.AdmissionError))


def _labels(selector: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in selector.split(",")]
    if not all(key and sign and value for key, sign, value in pairs):
        raise SettingError(
            f"DETECTOR_SELECTOR is {selector!r}; expected labels as key=value, with commas between"
        )
    return {key.strip(): value.strip() for key, _, value in pairs}


def _live(reconciler: Reconciler) -> str | None:
    still = time.monotonic() - reconciler.beat
    return f"no round for {still:.0f} s" if still > STANDSTILL_SECONDS else None


if __name__ == "__main__":
    sys.exit(main())
