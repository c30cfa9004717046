"""The status endpoint: `/livez`, `/readyz`, `/metrics`, and pages of the service's own."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from services.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry

log = structlog.get_logger()

_OK, _NOT_FOUND, _FAILED, _UNAVAILABLE = 200, 404, 500, 503
_TEXT = "text/plain; charset=utf-8"
# What a stranger wrote may be on a page: a browser is to run nothing but what we serve, guess no
# type, and show it in no frame. What is told is of this moment.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# A client that connects and says nothing holds a thread for so long.
_SILENT_CLIENT_SECONDS = 10
# How long a stop waits at most; the server looks up this often.
_STOP_SECONDS = 0.1


class StatusServer:
    """Serves the endpoint from threads of its own.

    Args:
        port: to listen on, on all addresses; 0 is any free one.
        live: None while the process is worth keeping, else why not.
        ready: None while it does its work, else why not.
        pages: other paths, each to a function that gives its JSON.
        files: further paths, each to a content type and what is there.
        registry: whose metrics are told; those of the process alone by default.

    """

    def __init__(
        self,
        port: int,
        *,
        live: Callable[[], str | None],
        ready: Callable[[], str | None],
        pages: Mapping[str, Callable[[], bytes]],
        files: Mapping[str, tuple[str, bytes]] = MappingProxyType({}),
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._port = port
        self._probes = {"/livez": live, "/readyz": ready}
        self._pages = pages
        self._files = files
        self._registry = registry
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> int:
        """Listen, and return the port.

        Raises:
            SettingError: the port is taken.

        """
        handler = type("Handler", (_Handler,), {"answer_to": staticmethod(self._answer)})
        try:
            self._server = _Server(("0.0.0.0", self._port), handler)  # noqa: S104 - probes and Prometheus come from other hosts
        except OSError as error:
            raise SettingError(
                f"STATUS_PORT is {self._port}: {error.strerror}; choose another, or 0 for any"
            ) from None
        threading.Thread(
            target=self._server.serve_forever,
            args=[_STOP_SECONDS],
            name="status",
            daemon=True,
        ).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Answer a path with a status code, a content type and a body."""
        if probe := self._probes.get(path):
            reason = probe()
            code = _OK if reason is None else _UNAVAILABLE
            return code, _TEXT, f"{reason or 'ok'}\n".encode()
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return _OK, content_type, encode(self._registry)
        if page := self._pages.get(path):
            return _OK, "application/json", page()
        if file := self._files.get(path):
            return _OK, *file
        known = ", ".join([*self._probes, "/metrics", *self._pages, *self._files])
        return _NOT_FOUND, _TEXT, f"not here; there are {known}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    answer_to: Callable[[str, str], tuple[int, str, bytes]]
    timeout = _SILENT_CLIENT_SECONDS

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        try:
            code, content_type, body = self.answer_to(path, self.headers.get("Accept", ""))
        except Exception:
            log.exception("status page failed", path=path)
            code, content_type, body = _FAILED, _TEXT, b"failed; the log says why\n"
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a probe every second is no news."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_request: object) -> None:
        """Say little: the client has gone before its answer."""
        log.debug("status client gone", error=repr(sys.exception()))
