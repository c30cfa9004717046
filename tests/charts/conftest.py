"""What the tests of the charts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.charts.foreign import install_all_crds

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer


@pytest.fixture(scope="session")
def all_kinds(api_server: ApiServer) -> ApiServer:
    """The API server with the definitions of every resource that the charts make objects of."""
    install_all_crds(api_server)
    return api_server
