"""A real API server for the tests that need one, and namespaces of their own."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.streaming import until
from tools.local_kubernetes import ControlPlane, ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMESPACES = itertools.count(1)


class ApiServer(ControlPlane):
    """The control plane, with what tests ask of kubectl.

    Who gives an object an owner needs the right to delete it, as on OpenShift.
    """

    def _server_arguments(self) -> list[str]:
        plugin = "OwnerReferencesPermissionEnforcement"
        return [*super()._server_arguments(), f"--enable-admission-plugins={plugin}"]

    def kubectl_fails(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, which has to fail, and give what it said."""
        with pytest.raises(ControlPlaneError) as caught:
            self.kubectl(*arguments, stdin=stdin)
        return str(caught.value)

    def kubectl_warns(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, and give what it said on stderr."""
        return self.run_kubectl(*arguments, stdin=stdin).stderr

    def install(self) -> None:
        """Install the CRD, and wait until it is served.

        Not with `kubectl wait`, which fails on a CRD that has no status yet.
        """
        self.kubectl("apply", "--server-side", "-f", "k8s/crds")
        until(self._served, "FraudRules are served")

    def _served(self) -> bool:
        try:
            self.kubectl("get", "fraudrules")
        except ControlPlaneError:
            return False
        return True

    def account(self, namespace: str, name: str) -> Path:
        """Give the kubeconfig of a service account, which is created where it is not there."""
        account = f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n"
        self.kubectl("-n", namespace, "apply", "-f", "-", stdin=account)
        token = self.kubectl("-n", namespace, "create", "token", name, "--duration=2h").strip()
        return self.write_kubeconfig(f"{name}-{namespace}", {"token": token}, namespace)

    def audit(self, user: str = "", namespace: str = "") -> list[dict[str, Any]]:
        """What the audit log has of a user, or of a namespace."""
        lines = self.audit_log.read_text(encoding="utf-8").split("\n")
        events = [json.loads(line) for line in lines if user in line and namespace in line and line]
        return [
            event
            for event in events
            if user in event["user"]["username"]
            and namespace in {"", event.get("objectRef", {}).get("namespace")}
        ]

    def new_namespace(self) -> str:
        """Make a namespace that nothing else uses."""
        name = f"test-{next(_NAMESPACES)}"
        self.kubectl("create", "namespace", name)
        return name


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """One API server for all tests, with the CRD."""
    with ApiServer() as server:
        server.install()
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace of the test's own."""
    return api_server.new_namespace()
