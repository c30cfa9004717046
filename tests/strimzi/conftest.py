"""The chart as it comes in its smallest size, and what Strimzi would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.local_kubernetes import ControlPlaneError
from tests.charts.rendering import template
from tests.charts.strimzi import strimzi_crds
from tests.streaming import until
from tests.strimzi.identity import Cluster
from tests.strimzi.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kubernetes_fixtures import ApiServer

CHART = "charts/kafka-cluster"
KINDS = "kafka,kafkanodepool,kafkatopic,kafkauser"


def install(api: ApiServer, size: str) -> str:
    """Apply the chart in a size to a namespace of its own, which is given."""
    namespace = api.new_namespace()
    values = f"{CHART}/values-{size}.yaml"
    done = template(CHART, values, release="kafka", namespace=namespace)
    assert done.returncode == 0, done.stderr
    api.kubectl("-n", namespace, "apply", "-f", "-", stdin=done.stdout)
    return namespace


@pytest.fixture(scope="session")
def strimzi(api_server: ApiServer) -> ApiServer:
    """The API server with Strimzi's CRDs."""

    def served() -> bool:
        try:
            api_server.kubectl("get", KINDS, "--all-namespaces")
        except ControlPlaneError:
            return False
        return True

    api_server.kubectl("apply", "--server-side", "-f", str(strimzi_crds()))
    until(served, "Strimzi's resources are served")
    return api_server


@pytest.fixture(scope="module")
def cluster(strimzi: ApiServer) -> Iterator[Cluster]:
    """A cluster of the chart's, for the tests of a module."""
    namespace = install(strimzi, "dev")
    with StandIn(strimzi, namespace) as stand_in:
        yield Cluster(strimzi, namespace, stand_in)
