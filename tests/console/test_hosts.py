from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import pytest

from services.console.hosts import host_check
from services.telemetry import StatusServer
from tests.support.streaming import Service, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "header",
    [
        None,
        "localhost:8080",
        "LOCALHOST",
        "page.localhost:1",
        "127.0.0.1:8090",
        "10.244.0.7",
        "[::1]:8090",
        "[fd00::7]",
        "fraud-console",
        "fraud-console.fraud.svc:80",
        "fraud-console.fraud.svc.cluster.local.",
        "Fraud.Example.Com:443",
    ],
)
def test_names_that_no_stranger_can_have_are_answered(header: str | None) -> None:
    assert host_check(["fraud.example.com"])(header) is None


@pytest.mark.parametrize(
    "header",
    ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "svc.example", "a.b"],
)
def test_another_name_is_refused_and_the_setting_is_named(header: str) -> None:
    rejected = host_check(["fraud.example.com"])(header)
    assert rejected is not None
    assert header.partition(":")[0] in rejected
    assert "ALLOWED_HOSTS" in rejected


@pytest.mark.parametrize("path", ["/", "/state", "/metrics", "/livez"])
def test_no_path_is_answered_under_a_foreign_name(path: str) -> None:
    server = StatusServer(
        0,
        live=lambda: None,
        ready=lambda: None,
        pages={"/state": lambda: b"{}"},
        files={"/": ("text/html", b"page")},
        check_host=host_check([]),
    )
    port = server.start()
    try:
        assert [ask(port, path, host) for host in ("localhost", "evil.example")] == [200, 403]
    finally:
        server.stop()


def test_the_console_answers_only_the_names_of_its_setting(tmp_path: Path) -> None:
    settings = {"ALLOWED_HOSTS": "fraud.example.com, other.example"}
    with Service("console", settings, tmp_path / "log") as console:
        port = until(lambda: console.lines("started"), "it started")[-1]["status_port"]
        assert ask(port, "/state", "other.example") == 200
        assert ask(port, "/state", "evil.example") == 403


def ask(port: int, path: str, host: str) -> int:
    """The status of an answer to a request under a name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()
