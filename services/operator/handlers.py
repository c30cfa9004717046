"""What kopf calls: each handler is one line, and hands on to where the work is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kopf

from services.operator.admission import review
from services.operator.resource_definition import GROUP, PLURAL, VERSION
from services.rules import CompiledRule

if TYPE_CHECKING:
    from services.operator.reconciler import Reconciler
    from services.operator.settings import OperatorSettings
    from services.operator.webhook_certificates import OwnCertificates
    from services.rules import Compiler

# The path that the webhook's configuration names.
WEBHOOK = "fraudrule"
_INVALID = 422
# How often renewed certificate files are noticed.
_LOOK_SECONDS = 10.0


class Handlers:
    """The operator's handlers, as `registry` for kopf."""

    def __init__(
        self,
        reconciler: Reconciler,
        compiler: Compiler,
        settings: OperatorSettings,
        certificates: OwnCertificates | None,
    ) -> None:
        self._reconciler = reconciler
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
        """Configure kopf, and begin to reconcile."""
        _configure(settings, self._settings)
        if self._settings.webhook_port:
            settings.admission.server = _server(self._settings, self._certificates)
        self._tasks.append(asyncio.create_task(self._reconciler.run()))
        if self._certificates is not None:
            self._tasks.append(asyncio.create_task(self._certificates.keep()))

    async def stop(self, **_: object) -> None:
        """End what was begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def changed(self, **_: object) -> None:
        """Have a round made: something may have changed."""
        self._reconciler.poke()

    def admit(self, body: kopf.Body, warnings: list[str], old: object = None, **_: object) -> None:
        """Refuse a bad rule. Compiling takes a moment: kopf runs this in a thread."""
        before = old if isinstance(old, Mapping) else None
        said = review(dict(body), before, self._compiler)
        if isinstance(said, str):
            raise kopf.AdmissionError(said, code=_INVALID)
        if isinstance(said, CompiledRule):
            warnings.extend(said.warnings)


def _login(**details: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own details, handed on
    """Find the way in: a pod's service account, else a kubeconfig."""
    return kopf.login_with_service_account(**details) or kopf.login_with_kubeconfig(**details)


def _configure(kopf_settings: kopf.OperatorSettings, settings: OperatorSettings) -> None:
    # Namespaces and CRDs are not watched: that needs rights on the whole cluster.
    kopf_settings.scanning.disabled = True
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False  # Events are written with the status they tell of
    watching = kopf_settings.watching
    # A watch that says nothing may be dead; both ends give it up in time, and it is made anew.
    watching.server_timeout = settings.watch_timeout_seconds
    watching.inactivity_timeout = settings.watch_timeout_seconds
    watching.connect_timeout = 5.0
    watching.label_selectors["", "v1", "pods"] = settings.detector_selector
    watching.field_selectors["", "v1", "configmaps"] = f"metadata.name={settings.rules_config_map}"
    kopf_settings.networking.error_backoffs = (1, 1, 2, 2, 5)


def _server(settings: OperatorSettings, certificates: OwnCertificates | None) -> kopf.WebhookServer:
    if certificates is not None:
        certificate = key = certificates.file
    else:
        folder = Path(settings.webhook_certificate_path)
        certificate, key = folder / "tls.crt", folder / "tls.key"
    return kopf.WebhookServer(
        addr="0.0.0.0",  # noqa: S104 - the API server calls from another host
        port=settings.webhook_port,
        host=settings.webhook_host,
        certfile=certificate,
        pkeyfile=key,
        file_check_interval=_LOOK_SECONDS,
    )
