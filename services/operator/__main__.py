"""`python -m services.operator`: distribute FraudRules to the detectors until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import kopf
import structlog
from lightkube import ConfigError

from services.operator.cluster import Cluster
from services.operator.handlers import Handlers
from services.operator.lease import Leadership, process_identity
from services.operator.reconciler import Reconciler
from services.operator.rulebook import Rulebook
from services.operator.settings import OperatorSettings
from services.operator.trust import Trust
from services.operator.webhook_certificates import OwnCertificates
from services.rules import Compiler
from services.rules.keys import complaint_of_key
from services.settings import SettingError
from services.telemetry import StatusServer, metrics, run_service
from services.transactions import load_schema

log = structlog.get_logger()


def main() -> int:
    """Run the operator; the exit code is 0 after SIGTERM or SIGINT."""
    return run_service("operator", OperatorSettings, _work)


def _work(settings: OperatorSettings) -> int:
    try:
        for chatty in ("httpx2", "kopf.objects"):  # they log each request, and each event
            logging.getLogger(chatty).setLevel(logging.WARNING)
        logging.getLogger("kopf.objects").addFilter(_is_ours)
        asyncio.run(_run(settings))
    except ConfigError as error:
        raise SettingError(f"no way to a cluster: {error}; KUBECONFIG names a file") from None
    log.info("stopped")
    return 0


async def _run(settings: OperatorSettings) -> None:
    schema = load_schema(Path(settings.schema_path) if settings.schema_path else None)
    if complaint := complaint_of_key(schema, settings.keyed_by):
        raise SettingError(f"KEYED_BY: {complaint}")
    compiler = Compiler(schema, settings.keyed_by)
    cluster = Cluster(settings.operator_namespace, settings.config_map_owner)
    leadership = Leadership(cluster, process_identity())
    reconciler = Reconciler(
        cluster,
        Rulebook(compiler, settings.score_threshold),
        rules_config_map=settings.rules_config_map,
        detectors_config_map=settings.detectors_config_map,
        labels=_labels(settings.detector_selector),
        keyed_by=compiler.keyed_by,
        may_write=lambda: leadership.held,
    )
    configuration, host = settings.webhook_configuration, settings.webhook_host
    certificates = trust = None
    if settings.webhook_port and not settings.webhook_certificate_path:
        certificates = OwnCertificates(host, cluster, configuration, lambda: leadership.held)
    if settings.webhook_port and configuration:
        trust = Trust(cluster, configuration, host, settings.webhook_port)
    status = StatusServer(
        settings.status_port,
        live=reconciler.heartbeat.standstill,
        ready=lambda: _unready(leadership, reconciler, trust),
        pages={},
        registry=metrics.OPERATOR,
    )
    port = status.start()
    log.info("started", status_port=port, namespace=cluster.namespace)
    handlers = Handlers(
        reconciler,
        compiler,
        settings,
        leadership=leadership,
        certificates=certificates,
        trust=trust,
    )
    try:
        await kopf.operator(registry=handlers.registry, namespaces=[cluster.namespace])
    finally:
        if certificates is not None:
            certificates.close()
        await cluster.close()
        status.stop()


def _is_ours(record: logging.LogRecord) -> bool:
    """True if a record of kopf's log is about the operator, not about a rejected rule."""
    return not (record.exc_info and isinstance(record.exc_info[1], kopf.AdmissionError))


def _labels(selector: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in selector.split(",")]
    if not all(key and sign and value for key, sign, value in pairs):
        raise SettingError(
            f"DETECTOR_SELECTOR is {selector!r}; expected labels as key=value, with commas between"
        )
    return {key.strip(): value.strip() for key, _, value in pairs}


def _unready(leadership: Leadership, reconciler: Reconciler, trust: Trust | None) -> str | None:
    if reason := leadership.reason:
        return reason
    if not reconciler.ready:
        return "no round is finished yet"
    return trust.reason if trust else None


if __name__ == "__main__":
    sys.exit(main())
