"""The webhook's certificates, if cert-manager does not make them.

The authority exists in memory only, and a new one is made at each start. The operator
writes it into the ValidatingWebhookConfiguration for the API server. The key of an
authority is never written to disk.
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
    from collections.abc import Callable

    from services.operator.cluster import Cluster

log = structlog.get_logger()

_AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=30)
# A third of the lifetime is left when the next one is made.
_RENEW_AT = LIFETIME / 3
# Interval of the checks of the certificate's age and of the API server's trust, which a
# `helm upgrade` or a colleague may have reset.
LOOK_EVERY_SECONDS = 10.0
RETRY_SECONDS = 1.0


class OwnCertificates:
    """Keeps a certificate for the webhook in a folder, and the API server's trust in it.

    Args:
        host: Name by which the API server calls the webhook.
        cluster: Access to the webhook's configuration.
        configuration: Name of the ValidatingWebhookConfiguration; "" leaves
            it unchanged.
        may_write: True if no other operator writes to the configuration.

    """

    def __init__(
        self, host: str, cluster: Cluster, configuration: str, may_write: Callable[[], bool]
    ) -> None:
        self._host = host
        self._may_write = may_write
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
        """Renew certificates that expire soon, and keep the API server's trust; runs for ever."""
        while True:
            pause = LOOK_EVERY_SECONDS if self._may_write() else RETRY_SECONDS
            if expiry(self.file.read_bytes()) - datetime.now(UTC) < _RENEW_AT:
                self._renew()
            try:
                await self._be_trusted()
            except httpx2.HTTPError as error:
                log.warning("webhook not configured", reason=str(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _be_trusted(self) -> None:
        if not self._configuration or not self._may_write():
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
