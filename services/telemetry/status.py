"""The status endpoint: `/livez`, `/readyz`, `/metrics`, and further pages of the service."""

from __future__ import annotations

import socket
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

_OK, _FORBIDDEN, _NOT_FOUND, _FAILED, _UNAVAILABLE = 200, 403, 404, 500, 503
_TEXT = "text/plain; charset=utf-8"
# Pages may contain text from strangers. So a browser must run only our own scripts, must not guess
# content types, and must not show a page in a frame. Answers are not cached.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# A client that connects and sends nothing holds a thread for this long.
_SILENT_CLIENT_SECONDS = 10
# Longest wait at a stop; the server checks for a stop at this interval.
_STOP_SECONDS = 0.1


def _any_host(_: str | None) -> str | None:
    """Accept every header Host."""
    return None


class StatusServer:
    """Serves the endpoint from its own threads.

    Args:
        port: Port to listen on, on all addresses of IPv6 and IPv4; 0 is any free one.
        live: Returns None while the process is worth keeping, else the reason.
        ready: Returns None while it does its work, else the reason.
        pages: Further paths, each with a function that returns its JSON.
        files: Further paths, each with a content type and a content.
        registry: Registry whose metrics are served; by default those of the process alone.
        check_host: Function from the header Host to the reason for which a request is rejected,
            None if it is answered. By default all requests are answered.

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
        check_host: Callable[[str | None], str | None] = _any_host,
    ) -> None:
        self._port = port
        self._probes = {"/livez": live, "/readyz": ready}
        self._pages = pages
        self._files = files
        self._registry = registry
        self._check_host = check_host
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> int:
        """Listen, and return the port.

        Raises:
            SettingError: The port is in use.

        """
        parts = {
            "answer_to": staticmethod(self._answer),
            "check_host": staticmethod(self._check_host),
        }
        try:
            # On all addresses: probes and Prometheus come from other hosts.
            self._server = _Server(("", self._port), type("Handler", (_Handler,), parts))
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
        """Stop to listen."""
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
    check_host: Callable[[str | None], str | None]
    timeout = _SILENT_CLIENT_SECONDS

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        try:
            if rejected := self.check_host(self.headers.get("Host")):
                code, content_type, body = _FORBIDDEN, _TEXT, f"{rejected}\n".encode()
            else:
                code, content_type, body = self.answer_to(path, self.headers.get("Accept", ""))
        except Exception:
            log.exception("status page failed", path=path)
            code, content_type, body = _FAILED, _TEXT, b"failed; see the log\n"
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: probes arrive every second."""


class _Server(ThreadingHTTPServer):
    """Listens on IPv6 and IPv4 with one socket, if the machine has IPv6."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, *_request: object) -> None:
        """Log one line: the client has closed the connection before its answer."""
        log.debug("status client gone", error=repr(sys.exception()))
