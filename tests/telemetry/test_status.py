from __future__ import annotations

import http.client
import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from services.settings import SettingError
from services.telemetry import StatusServer, metrics
from services.telemetry.status import _Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def well() -> None:
    """The answer of a probe that has nothing to say."""


@contextmanager
def served(
    live: Callable[[], str | None] = well,
    ready: Callable[[], str | None] = well,
    pages: dict[str, Callable[[], bytes]] | None = None,
    files: dict[str, tuple[str, bytes]] | None = None,
) -> Iterator[int]:
    server = StatusServer(
        0, live=live, ready=ready, pages=pages or {}, files=files or {}, registry=metrics.DETECTOR
    )
    port = server.start()
    try:
        yield port
    finally:
        server.stop()


def get(port: int, path: str, **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_of_a_process_that_is_well_answers_ok(path: str) -> None:
    with served() as port:
        assert get(port, path) == (200, "text/plain; charset=utf-8", b"ok\n")


def test_each_probe_answers_for_itself_with_its_reason() -> None:
    with served(ready=lambda: "no partitions are assigned yet") as port:
        assert get(port, "/readyz")[::2] == (503, b"no partitions are assigned yet\n")
        assert get(port, "/livez")[0] == 200


def test_a_probe_is_asked_anew_each_time() -> None:
    answers = iter(["starting", None])
    with served(live=lambda: next(answers)) as port:
        assert [get(port, "/livez")[0] for _ in range(2)] == [503, 200]


def test_metrics_are_read_by_prometheus() -> None:
    with served() as port:
        status, content_type, body = get(port, "/metrics")
    names = {family.name for family in text_string_to_metric_families(body.decode())}
    assert status == 200
    assert content_type.startswith("text/plain")
    assert {"fraud_transactions", "fraud_decision_latency_seconds"} <= names


def test_metrics_come_as_openmetrics_to_who_accepts_them() -> None:
    with served() as port:
        _, content_type, body = get(port, "/metrics", Accept="application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_page_of_the_service_is_json() -> None:
    with served(pages={"/ruleset": lambda: b'{"hash":"0a"}'}) as port:
        status, content_type, body = get(port, "/ruleset?pretty")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body) == {"hash": "0a"}


def test_a_file_of_the_service_has_its_own_type() -> None:
    with served(files={"/": ("text/html; charset=utf-8", b"<!doctype html>")}) as port:
        assert get(port, "/") == (200, "text/html; charset=utf-8", b"<!doctype html>")


@pytest.mark.parametrize("path", ["/livez", "/page", "/file", "/none"])
def test_a_browser_is_to_run_and_frame_nothing_of_a_strangers(path: str) -> None:
    with served(pages={"/page": lambda: b"{}"}, files={"/file": ("text/html", b"")}) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        headers = connection.getresponse().headers
        connection.close()
    policy = headers["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= {
        *policy.split("; ")
    }
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_an_unknown_path_names_those_there_are() -> None:
    with served(pages={"/ruleset": lambda: b"{}"}) as port:
        status, _, body = get(port, "/healthz")
    assert status == 404
    assert body == b"not here; there are /livez, /readyz, /metrics, /ruleset\n"


def test_a_page_that_fails_is_logged_and_the_next_request_is_answered() -> None:
    def page() -> bytes:
        raise KeyError("rule")

    with capture_logs() as logs, served(pages={"/ruleset": page}) as port:
        assert get(port, "/ruleset")[0] == 500
        assert get(port, "/livez")[0] == 200
    assert [(line["event"], line["path"]) for line in logs] == [("status page failed", "/ruleset")]


def test_a_client_that_says_nothing_does_not_hold_up_the_others() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port)):
        assert get(port, "/livez")[0] == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_listens_on_ipv4_and_on_ipv6(address: str) -> None:
    with served() as port:
        connection = http.client.HTTPConnection(address, port, timeout=60)
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
        connection.close()


def test_without_ipv6_it_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Server, "address_family", socket.AF_INET)
    with served() as port:
        assert get(port, "/livez")[0] == 200


def test_a_taken_port_is_a_settings_mistake() -> None:
    with served() as port:
        other = StatusServer(port, live=well, ready=well, pages={})
        with pytest.raises(SettingError, match=f"STATUS_PORT is {port}: Address already in use"):
            other.start()


def test_the_port_is_free_again_after_a_stop() -> None:
    with served() as port:
        pass
    again = StatusServer(port, live=well, ready=well, pages={})
    assert again.start() == port
    again.stop()


def test_a_server_that_never_started_can_be_stopped() -> None:
    StatusServer(0, live=well, ready=well, pages={}).stop()
