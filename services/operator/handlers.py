"""The functions that kopf calls: each one only calls the code that does the work."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kopf

from services.operator.admission import review
from services.rules import CompiledRule
from services.rules.model import GROUP, PLURAL, VERSION
from services.telemetry import metrics

if TYPE_CHECKING:
    from services.operator.lease import Leadership
    from services.operator.reconciler import Reconciler
    from services.operator.settings import OperatorSettings
    from services.operator.trust import Trust
    from services.operator.webhook_certificates import OwnCertificates
    from services.rules import Compiler

# Path in the webhook's configuration.
WEBHOOK = "fraudrule"
_INVALID = 422
# Interval of the check for renewed certificate files.
_LOOK_SECONDS = 10.0


class Backoffs:
    """Seconds to wait after each failed request of a watch, without an end.

    kopf ends the operator when they are used up, with an API server that starts, or with a right
    that is missing for a moment. A watch only triggers a reconcile, so it may wait for long.
    """

    def __iter__(self) -> Iterator[float]:
        """Begin with short ones."""
        return itertools.chain((1.0, 1.0, 2.0, 2.0), itertools.repeat(5.0))


class Handlers:
    """The operator's handlers, as `registry` for kopf."""

    def __init__(
        self,
        reconciler: Reconciler,
        compiler: Compiler,
        settings: OperatorSettings,
        *,
        leadership: Leadership,
        certificates: OwnCertificates | None,
        trust: Trust | None,
    ) -> None:
        self._reconciler = reconciler
        self._leadership = leadership
        self._trust = trust
        self._compiler = compiler
        self._settings = settings
        self._certificates = certificates
        self._tasks: list[asyncio.Task[None]] = []
        self.registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self.registry)(_login)
        kopf.on.startup(registry=self.registry)(self.start)
        kopf.on.cleanup(registry=self.registry)(self.stop)
        for resource in ((GROUP, VERSION, PLURAL), ("", "v1", "pods"), ("", "v1", "configmaps")):
            kopf.on.event(*resource, registry=self.registry)(self.changed)
        if settings.webhook_port:
            kopf.on.validate(
                *(GROUP, VERSION, PLURAL),
                id=WEBHOOK,
                operations=["CREATE", "UPDATE"],
                side_effects=False,
                registry=self.registry,
            )(self.admit)

    async def start(self, settings: kopf.OperatorSettings, **_: object) -> None:
        """Configure kopf, and start to reconcile."""
        _configure(settings, self._settings)
        if self._settings.webhook_port:
            settings.admission.server = _server(self._settings, self._certificates)
        work = [self._leadership.keep(), self._reconciler.run()]
        if self._certificates is not None:
            work.append(self._certificates.keep())
        if self._trust is not None:
            work.append(self._trust.watch())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self, **_: object) -> None:
        """Stop all tasks, and release the Lease for another operator."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leadership.release()

    async def changed(self, **_: object) -> None:
        """Trigger a reconcile, because something may have changed."""
        self._reconciler.trigger()

    def admit(self, body: kopf.Body, warnings: list[str], old: object = None, **_: object) -> None:
        """Reject a bad rule. Compiling takes a moment: kopf runs this in a thread."""
        before = old if isinstance(old, Mapping) else None
        try:
            said = review(dict(body), before, self._compiler)
        except Exception:
            metrics.REVIEWS.labels("failed").inc()
            raise
        metrics.REVIEWS.labels("refused" if isinstance(said, str) else "accepted").inc()
        if isinstance(said, str):
            raise kopf.AdmissionError(said, code=_INVALID)
        if isinstance(said, CompiledRule):
            warnings.extend(said.warnings)


def _login(**details: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - details of kopf, passed through
    """Find the credentials: a pod's service account, else a kubeconfig."""
    return kopf.login_with_service_account(**details) or kopf.login_with_kubeconfig(**details)


def _configure(kopf_settings: kopf.OperatorSettings, settings: OperatorSettings) -> None:
    # Namespaces and CRDs are not watched: that needs rights on the whole cluster.
    kopf_settings.scanning.disabled = True
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False  # Events are written together with the status
    watching = kopf_settings.watching
    # A silent watch may be dead; both ends close it after a timeout, and it is opened again.
    watching.server_timeout = settings.watch_timeout_seconds
    watching.inactivity_timeout = settings.watch_timeout_seconds
    watching.connect_timeout = 5.0
    watching.label_selectors["", "v1", "pods"] = settings.detector_selector
    watching.field_selectors["", "v1", "configmaps"] = f"metadata.name={settings.rules_config_map}"
    kopf_settings.networking.error_backoffs = Backoffs()


def _server(settings: OperatorSettings, certificates: OwnCertificates | None) -> kopf.WebhookServer:
    if certificates is not None:
        certificate = key = certificates.file
    else:
        folder = Path(settings.webhook_certificate_path)
        certificate, key = folder / "tls.crt", folder / "tls.key"
    return kopf.WebhookServer(
        addr=None,  # all addresses, IPv6 and IPv4: the API server is on another host
        port=settings.webhook_port,
        host=settings.webhook_host,
        certfile=certificate,
        pkeyfile=key,
        file_check_interval=_LOOK_SECONDS,
    )
