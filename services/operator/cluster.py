"""The operator's reads from and writes to the Kubernetes API, without the reasons for them.

Every write is a server-side apply under one field manager, so fields that others
set stay theirs (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.admissionregistration_v1 import ValidatingWebhookConfiguration
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Event, Pod, ServiceAccount
from lightkube.types import PatchType

from services.rules.model import API_VERSION, GROUP, KIND, PLURAL, VERSION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from lightkube.models.coordination_v1 import LeaseSpec

    from services.operator.conditions import Condition

FIELD_MANAGER = "fraud-detection-operator"
_LABELS = {
    "app.kubernetes.io/managed-by": FIELD_MANAGER,
    "app.kubernetes.io/part-of": "fraud-detection",
}
_NOT_FOUND = 404
_CONFLICT = 409
_MAX_EVENT_MESSAGE = 1024

FraudRule = create_namespaced_resource(GROUP, VERSION, KIND, PLURAL)


class Cluster:
    """One namespace of a cluster.

    Args:
        namespace: Name of the namespace; "" is that of the kubeconfig or the service account.
        owner: Name of the ServiceAccount with which Kubernetes deletes the operator's ConfigMaps;
            "" for ConfigMaps that stay.

    """

    def __init__(self, namespace: str, owner: str = "") -> None:
        config = KubeConfig.from_env()
        self._client = AsyncClient(config, namespace=namespace or None, field_manager=FIELD_MANAGER)
        self.namespace: str = self._client.namespace
        self._owner = owner

    @property
    def owns(self) -> bool:
        """True if the ConfigMaps belong to the ServiceAccount."""
        return bool(self._owner)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def rules(self) -> list[dict[str, Any]]:
        """List the FraudRules."""
        return [dict(rule) async for rule in self._client.list(FraudRule)]

    async def pods(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """List the pods with these labels."""
        return [pod.to_dict() async for pod in self._client.list(Pod, labels=dict(labels))]

    async def config_map(self, name: str) -> dict[str, str] | None:
        """Read a ConfigMap's data; None if there is no such ConfigMap."""
        try:
            return (await self._client.get(ConfigMap, name)).data or {}
        except ApiError as error:
            if error.status.code == _NOT_FOUND:
                return None
            raise

    async def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        """Create a ConfigMap with this data, or update it."""
        metadata = ObjectMeta(name=name, labels=_LABELS, ownerReferences=await self._owners())
        await self._client.apply(ConfigMap(metadata=metadata, data=data), force=True)

    async def _owners(self) -> list[OwnerReference] | None:
        """Return a reference to the current owner: one that was created again has another uid."""
        if not self._owner:
            return None
        uid: str = (await self._client.get(ServiceAccount, self._owner)).to_dict()["metadata"][
            "uid"
        ]
        return [OwnerReference("v1", "ServiceAccount", self._owner, uid)]

    async def apply_status(self, name: str, status: dict[str, Any]) -> bool:
        """Set the status of a FraudRule; False if the rule was deleted."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "status": status,
        }
        return await self._patch(FraudRule.Status, name, body)

    async def annotate_pod(self, name: str, key: str, value: str) -> bool:
        """Set an annotation of a pod; False if the pod was deleted.

        Not an apply, which would create a pod if there is none.
        """
        return await self._patch(
            Pod, name, {"metadata": {"annotations": {key: value}}}, PatchType.MERGE
        )

    async def tell(self, rule: dict[str, Any], condition: Condition) -> None:
        """Create an Event about a FraudRule."""
        now = datetime.now(UTC)
        metadata = rule["metadata"]
        event = Event(
            metadata=ObjectMeta(
                generateName=f"{metadata['name'][:200]}-", namespace=self.namespace
            ),
            involvedObject=ObjectReference(
                apiVersion=API_VERSION,
                kind=KIND,
                name=metadata["name"],
                namespace=self.namespace,
                uid=metadata["uid"],
            ),
            type="Warning" if condition.status == "False" else "Normal",
            reason=condition.reason,
            message=condition.message[:_MAX_EVENT_MESSAGE],
            source=EventSource(component=FIELD_MANAGER),
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        await self._client.create(event)

    async def webhook_authorities(self, name: str) -> list[bytes]:
        """Read the authorities that a webhook configuration trusts, one for each webhook."""
        found = await self._client.get(ValidatingWebhookConfiguration, name)
        return [base64.b64decode(w.clientConfig.caBundle or "") for w in found.webhooks or ()]

    async def trust_authority(self, name: str, certificate: bytes) -> None:
        """Make all webhooks of a configuration trust an authority."""
        webhooks = len(await self.webhook_authorities(name))
        bundle = base64.b64encode(certificate).decode()
        patch = [
            {"op": "add", "path": f"/webhooks/{i}/clientConfig/caBundle", "value": bundle}
            for i in range(webhooks)
        ]
        await self._client.patch(
            ValidatingWebhookConfiguration, name, patch, patch_type=PatchType.JSON
        )

    async def lease(self, name: str) -> Lease | None:
        """Read a Lease; None if there is no such Lease."""
        try:
            return await self._client.get(Lease, name)
        except ApiError as error:
            if error.status.code == _NOT_FOUND:
                return None
            raise

    async def create_lease(self, name: str, spec: LeaseSpec) -> bool:
        """Create a Lease; False if another operator was faster."""
        metadata = ObjectMeta(name=name, namespace=self.namespace, labels=_LABELS)
        return await self._unless_changed(self._client.create(Lease(metadata=metadata, spec=spec)))

    async def replace_lease(self, lease: Lease) -> bool:
        """Replace a Lease as it was read; False if another operator was faster."""
        return await self._unless_changed(self._client.replace(lease))

    async def _unless_changed(self, write: Awaitable[object]) -> bool:
        try:
            await write
        except ApiError as error:
            if error.status.code == _CONFLICT:
                return False
            raise
        return True

    async def _patch(
        self,
        resource: Any,  # noqa: ANN401 - the resource classes of lightkube have no common type
        name: str,
        body: dict[str, Any],
        kind: PatchType = PatchType.APPLY,
    ) -> bool:
        try:
            await self._client.patch(
                resource, name, body, patch_type=kind, force=kind is PatchType.APPLY
            )
        except ApiError as error:
            if error.status.code == _NOT_FOUND:
                return False
            raise
        return True
