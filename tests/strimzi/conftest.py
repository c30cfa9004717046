"""The chart as it comes in its smallest size, and what Strimzi would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.charts.rendering import template
from tests.charts.strimzi import install_crds
from tests.strimzi.identity import Cluster
from tests.strimzi.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes import ApiServer

CHART = "charts/kafka-cluster"


def install(api: ApiServer, size: str) -> str:
    """Apply the chart in a size, with every user, to a namespace of its own, which is given."""
    namespace = api.new_namespace()
    values = f"{CHART}/values-{size}.yaml"
    done = template(
        CHART, values, release="kafka", namespace=namespace, users={"console": "console"}
    )
    assert done.returncode == 0, done.stderr
    api.kubectl("-n", namespace, "apply", "-f", "-", stdin=done.stdout)
    return namespace


@pytest.fixture(scope="session")
def strimzi(api_server: ApiServer) -> ApiServer:
    """The API server with Strimzi's CRDs."""
    install_crds(api_server)
    return api_server


@pytest.fixture(scope="module")
def cluster(strimzi: ApiServer) -> Iterator[Cluster]:
    """A cluster of the chart's, for the tests of a module."""
    namespace = install(strimzi, "dev")
    with StandIn(strimzi, namespace) as stand_in:
        yield Cluster(strimzi, namespace, stand_in)
