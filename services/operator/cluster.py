"""What the operator reads from the Kubernetes API and writes to it, and nothing of why.

Every write is a server-side apply under one field manager, so that what others
set stays theirs (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.admissionregistration_v1 import ValidatingWebhookConfiguration
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.types import PatchType

from services.operator.resource_definition import GROUP, PLURAL, VERSION
from services.rules.model import API_VERSION, KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.operator.conditions import Condition

FIELD_MANAGER = "fraud-detection-operator"
_LABELS = {
    "app.kubernetes.io/managed-by": FIELD_MANAGER,
    "app.kubernetes.io/part-of": "fraud-detection",
}
_NOT_FOUND = 404
_MAX_EVENT_MESSAGE = 1024

FraudRule = create_namespaced_resource(GROUP, VERSION, KIND, PLURAL)


class Cluster:
    """One namespace of a cluster.

    Args:
        namespace: its name; "" is the kubeconfig's or the service account's.

    """

    def __init__(self, namespace: str) -> None:
        config = KubeConfig.from_env()
        self._client = AsyncClient(config, namespace=namespace or None, field_manager=FIELD_MANAGER)
        self.namespace: str = self._client.namespace

    async def close(self) -> None:
        """Give up the connections."""
        await self._client.close()

    async def rules(self) -> list[dict[str, Any]]:
        """List the FraudRules."""
        return [dict(rule) async for rule in self._client.list(FraudRule)]

    async def pods(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """List the pods with these labels."""
        return [pod.to_dict() async for pod in self._client.list(Pod, labels=dict(labels))]

    async def config_map(self, name: str) -> dict[str, str] | None:
        """Read a ConfigMap's data, or None where there is no such ConfigMap."""
        try:
            return (await self._client.get(ConfigMap, name)).data or {}
        except ApiError as error:
            if error.status.code == _NOT_FOUND:
                return None
            raise

    async def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        """Make a ConfigMap have this data."""
        metadata = ObjectMeta(name=name, labels=_LABELS)
        await self._client.apply(ConfigMap(metadata=metadata, data=data), force=True)

    async def apply_status(self, name: str, status: dict[str, Any]) -> bool:
        """Make a FraudRule have this status; False where the rule is gone."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "status": status,
        }
        return await self._patch(FraudRule.Status, name, body)

    async def annotate_pod(self, name: str, key: str, value: str) -> bool:
        """Make a pod have this annotation; False where the pod is gone.

        Not an apply: that would make a pod of its own where there is none.
        """
        return await self._patch(
            Pod, name, {"metadata": {"annotations": {key: value}}}, PatchType.MERGE
        )

    async def tell(self, rule: dict[str, Any], condition: Condition) -> None:
        """Post an Event about a FraudRule."""
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
        """Read the authorities that a webhook configuration trusts, one a webhook."""
        found = await self._client.get(ValidatingWebhookConfiguration, name)
        return [base64.b64decode(w.clientConfig.caBundle or "") for w in found.webhooks or ()]

    async def trust_authority(self, name: str, certificate: bytes) -> None:
        """Make all webhooks of a configuration trust this authority."""
        webhooks = len(await self.webhook_authorities(name))
        bundle = base64.b64encode(certificate).decode()
        patch = [
            {"op": "add", "path": f"/webhooks/{i}/clientConfig/caBundle", "value": bundle}
            for i in range(webhooks)
        ]
        await self._client.patch(
            ValidatingWebhookConfiguration, name, patch, patch_type=PatchType.JSON
        )

    async def _patch(
        self,
        resource: Any,  # noqa: ANN401 - lightkube's resource classes have no common type
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
