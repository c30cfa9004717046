"""The webhook's certificates, where no cert-manager makes them.

The authority lives in memory only and is made anew with each start; the API
server is told of it in the ValidatingWebhookConfiguration. No key of an
authority is ever written down.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import structlog

from services.certificates import Authority, expiry
from services.telemetry import metrics

if TYPE_CHECKING:
    from services.operator.cluster import Cluster

log = structlog.get_logger()

_AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=30)
# A third is left when the next one is made.
_RENEW_AT = LIFETIME / 3
# How often the certificate's age is looked at, and whether the API server still knows the
# authority: a `helm upgrade` or a colleague may have set it back.
LOOK_EVERY_SECONDS = 10.0
RETRY_SECONDS = 1.0


class OwnCertificates:
    """Keeps a certificate for the webhook in a folder, and the API server's trust in it.

    Args:
        host: the name that the API server calls.
        cluster: where the webhook is configured.
        configuration: the name of the ValidatingWebhookConfiguration; "" leaves
            it alone.

    """

    def __init__(self, host: str, cluster: Cluster, configuration: str) -> None:
        self._host = host
        self._cluster = cluster
        self._configuration = configuration
        self._authority = Authority.new("fraud-detection-webhook", _AUTHORITY_LIFETIME)
        self._folder = tempfile.TemporaryDirectory(prefix="fraud-webhook-")
        self.file = Path(self._folder.name, "tls.pem")
        """The server's certificate and key, in one file, so that the two always fit."""
        self._renew()

    def close(self) -> None:
        """Delete the certificate and its key."""
        self._folder.cleanup()

    async def keep(self) -> None:
        """Renew what ends soon, and keep the API server's trust; goes on for ever."""
        while True:
            pause = LOOK_EVERY_SECONDS
            if expiry(self.file.read_bytes()) - datetime.now(UTC) < _RENEW_AT:
                self._renew()
            try:
                await self._be_trusted()
            except httpx2.HTTPError as error:
                log.warning("webhook not configured", reason=str(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _be_trusted(self) -> None:
        if not self._configuration:
            return
        known = await self._cluster.webhook_authorities(self._configuration)
        if any(authority != self._authority.certificate for authority in known):
            await self._cluster.trust_authority(self._configuration, self._authority.certificate)
            log.info("webhook configured", configuration=self._configuration)

    def _renew(self) -> None:
        pair = self._authority.issue("fraud-detection-webhook", LIFETIME, hosts=[self._host])
        new = self.file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(pair.certificate + pair.key)
        new.replace(self.file)
        ends = expiry(pair.certificate).timestamp()
        metrics.CERTIFICATE_EXPIRY.labels("webhook").set(ends)
