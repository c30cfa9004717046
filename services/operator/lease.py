"""The Lease that makes one operator of a namespace write while all others wait.

All operators of a namespace manage the same FraudRules, whatever their release: the Lease has the
name of that resource. As with client-go's leader election, the holder renews it. Another operator
takes over when it has seen no renewal for the Lease's duration by its own clock, or at once when
the holder has released it (https://kubernetes.io/docs/concepts/architecture/leases/).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import httpx2
import structlog
from lightkube.models.coordination_v1 import LeaseSpec

from services.rules.model import GROUP, PLURAL

if TYPE_CHECKING:
    from lightkube.resources.coordination_v1 import Lease

log = structlog.get_logger()

NAME = f"{PLURAL}.{GROUP}"
DURATION_SECONDS = 15
# A holder without a renewal for this long stops writing, before another one may start.
DEADLINE_SECONDS = 10.0
RENEW_EVERY_SECONDS = 2.0


class Leases(Protocol):
    """The part of the cluster that is needed here, implemented by `services.operator.cluster`."""

    async def lease(self, name: str) -> Lease | None:
        """Read a Lease."""

    async def create_lease(self, name: str, spec: LeaseSpec) -> bool:
        """Create a Lease; False if another operator was faster."""

    async def replace_lease(self, lease: Lease) -> bool:
        """Replace a Lease as it was read; False if another operator was faster."""


class Leadership:
    """Holds the Lease, or waits for it.

    Args:
        leases: Access to the cluster.
        identity: Unique name of this process.

    """

    def __init__(self, leases: Leases, identity: str) -> None:
        self._leases = leases
        self._identity = identity
        self._renewed_at = -DEADLINE_SECONDS
        self._seen: tuple[str | None, datetime | None] | None = None
        self._seen_at = 0.0
        self._reason = f"the Lease {NAME} is not asked for yet"

    @property
    def held(self) -> bool:
        """True if this process may write."""
        return time.monotonic() - self._renewed_at < DEADLINE_SECONDS

    @property
    def reason(self) -> str | None:
        """The reason why it may not write; None if it may."""
        return None if self.held else self._reason

    async def keep(self) -> None:
        """Renew the Lease, or wait for it; runs for ever."""
        while True:
            held, before = self.held, self._reason
            try:
                await self._ask()
            except httpx2.HTTPError as error:
                self._reason = f"the Lease {NAME} cannot be renewed: {error or repr(error)}"
            if self.held and not held:
                log.info("Lease acquired", lease=NAME, identity=self._identity)
            elif not self.held and (held or self._reason != before):
                log.warning("nothing is written", reason=self._reason)
            await asyncio.sleep(RENEW_EVERY_SECONDS)

    async def release(self) -> None:
        """Release the Lease, so that another operator need not wait until it expires."""
        if not self.held:
            return
        self._renewed_at = -DEADLINE_SECONDS
        try:
            found = await self._leases.lease(NAME)
            if found is not None and _spec(found).holderIdentity == self._identity:
                _spec(found).holderIdentity = ""
                await self._leases.replace_lease(found)
        except httpx2.HTTPError as error:
            log.warning("Lease not released", reason=str(error))

    async def _ask(self) -> None:
        now = time.monotonic()
        found = await self._leases.lease(NAME)
        if found is None:
            if await self._leases.create_lease(NAME, self._renewed(LeaseSpec())):
                self._renewed_at = now
            return
        spec = _spec(found)
        if (spec.holderIdentity, spec.renewTime) != self._seen:
            self._seen, self._seen_at = (spec.holderIdentity, spec.renewTime), now
        if spec.holderIdentity not in {None, "", self._identity}:
            lasts = spec.leaseDurationSeconds or DURATION_SECONDS
            if now - self._seen_at < lasts:
                self._reason = (
                    f"another operator, {spec.holderIdentity}, holds the Lease {NAME}; expected "
                    "one operator in a namespace; stop one of them"
                )
                self._renewed_at = -DEADLINE_SECONDS
                return
        found.spec = self._renewed(spec)
        if await self._leases.replace_lease(found):
            self._renewed_at = now

    def _renewed(self, spec: LeaseSpec) -> LeaseSpec:
        now = datetime.now(UTC)
        if spec.holderIdentity != self._identity:
            spec.acquireTime = now
            spec.leaseTransitions = (spec.leaseTransitions or 0) + 1
        spec.holderIdentity = self._identity
        spec.leaseDurationSeconds = DURATION_SECONDS
        spec.renewTime = now
        return spec


def process_identity() -> str:
    """Return a unique name of this process.

    In a pod it is the pod's name, so that a restarted container continues at once.
    """
    host = socket.gethostname()
    return host if "KUBERNETES_SERVICE_HOST" in os.environ else f"{host}-{uuid.uuid4().hex[:8]}"


def _spec(lease: Lease) -> LeaseSpec:
    lease.spec = lease.spec or LeaseSpec()
    return lease.spec
