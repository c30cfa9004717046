"""Check that the API server can call the webhook, because it trusts the served certificate."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx2
import structlog

from services.telemetry import metrics

if TYPE_CHECKING:
    from services.operator.cluster import Cluster

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 10.0
RETRY_SECONDS = 1.0
# Timeout of a handshake with this process itself.
_HANDSHAKE_SECONDS = 5.0


class Trust:
    """Compares the caBundle of the webhook's configuration with the served certificate.

    Like the API server, it makes a handshake in which only the caBundle is trusted.

    Args:
        cluster: Access to the webhook's configuration.
        configuration: Name of the ValidatingWebhookConfiguration.
        host: Name by which the API server calls the webhook.
        port: Port of the webhook.

    """

    def __init__(self, cluster: Cluster, configuration: str, host: str, port: int) -> None:
        self._cluster = cluster
        self._configuration = configuration
        self._host, self._port = host, port
        self.reason: str | None = f"the webhook's configuration {configuration} is not read yet"
        """The reason why reviews would fail; None if they would not."""
        self._told()

    async def watch(self) -> None:
        """Compare at intervals; runs for ever."""
        while True:
            before, self.reason = self.reason, await self._look()
            self._told()
            if self.reason and self.reason != before:
                log.warning("webhook not trusted", reason=self.reason)
            await asyncio.sleep(RETRY_SECONDS if self.reason else LOOK_EVERY_SECONDS)

    def _told(self) -> None:
        metrics.WEBHOOK_TRUSTED.labels(self._configuration).set(self.reason is None)

    async def _look(self) -> str | None:
        try:
            bundles = await self._cluster.webhook_authorities(self._configuration)
        except httpx2.HTTPError as error:
            return f"the ValidatingWebhookConfiguration {self._configuration} is not read: {error}"
        for bundle in bundles:
            if rejected := await self._shake_hands(bundle):
                return (
                    f"the caBundle of {self._configuration} is not the authority of the "
                    f"webhook's certificate: {rejected}"
                )
        return None

    async def _shake_hands(self, bundle: bytes) -> str:
        """Connect as the API server does; return the reason of a failure, or ""."""
        if not bundle:
            return "it is empty"
        try:
            context = ssl.create_default_context(cadata=bundle.decode())
            # Since 3.13 Python rejects by default authorities that the API server (Go) accepts.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=context, server_hostname=self._host
                )
            writer.close()
            await writer.wait_closed()
        except (OSError, ValueError) as error:
            return str(error) or repr(error)
        return ""
