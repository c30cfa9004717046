"""A cluster as its clients see it: an address, and files written from Secrets."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from services.detector.settings import DetectorSettings
from services.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.strimzi.stand_in import StandIn
    from tests.support.kubernetes import ApiServer

CLUSTER_CA = "kafka-cluster-ca-cert"


class Cluster(NamedTuple):
    """What was applied, and who provides it."""

    api: ApiServer
    namespace: str
    stand_in: StandIn

    def get(self, *what: str) -> dict[str, Any]:
        """An object, or a list of them."""
        found: dict[str, Any] = json.loads(
            self.api.kubectl("-n", self.namespace, "get", *what, "-o", "json")
        )
        return found

    def secret(self, name: str) -> dict[str, bytes]:
        """What a Secret holds."""
        data = self.get("secret", name)["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}

    @property
    def bootstrap(self) -> str:
        """Where the bootstrap Service leads to; here no pod runs, so its name leads nowhere."""
        selector = "kubernetes.io/service-name=kafka-kafka-bootstrap"
        (found,) = self.get("endpointslices", "-l", selector)["items"]
        return f"{found['endpoints'][0]['addresses'][0]}:{found['ports'][0]['port']}"

    def environment(self, user: str, folder: Path) -> dict[str, str]:
        """A service's settings as this user, with files as a pod has them mounted."""
        (folder / "ca").mkdir(parents=True, exist_ok=True)
        mounted = {f"ca/{key}": content for key, content in self.secret(CLUSTER_CA).items()}
        mounted |= {key: self.secret(user)[key] for key in ("user.crt", "user.key")}
        for name, content in mounted.items():
            (folder / name).write_bytes(content)
        return {
            "KAFKA_BROKER_URL": self.bootstrap,
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CA_LOCATION": str(folder / "ca"),
            "KAFKA_SSL_CERTIFICATE_LOCATION": str(folder / "user.crt"),
            "KAFKA_SSL_KEY_LOCATION": str(folder / "user.key"),
        }

    def settings(self, user: str, folder: Path, **more: str) -> DetectorSettings:
        """The same as a service reads them."""
        return load(DetectorSettings, self.environment(user, folder) | more)
