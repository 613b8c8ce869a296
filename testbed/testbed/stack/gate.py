"""A gate before a receiver of OTLP over HTTP: a relay that can be shut.

Only runs whose scenario shuts one have it. It is a thread of the runner, so that nothing has to be
started, watched or stopped for it.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from testbed.stack.ports import HOST

TIMEOUT: Final = 10.0  # seconds in which the receiver must answer
UNAVAILABLE: Final = 503  # asks the sender to try again
#: Headers of one connection, which are not passed on.
OWN_HEADERS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class Gate:
    """Passes requests on to a receiver, or answers them itself.

    Args:
        receiver: address of the receiver, ``host:port``; it need not be there yet.
    """

    def __init__(self, receiver: str) -> None:
        self._receiver = receiver
        self._status: int | None = None
        self._server = _Server((HOST, 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name=f"gate before {receiver}", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """Where senders send, ``host:port``."""
        return f"{HOST}:{self._server.server_port}"

    def shut(self, status: int) -> None:
        """Answer all requests with this status from now on."""
        self._status = status

    def open(self) -> None:
        """Pass requests on again."""
        self._status = None

    def close(self) -> None:
        """Stop for good."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request."""
        status = self._status
        if status is not None:
            return status, "text/plain", b"the gate is shut"
        host, _, port = self._receiver.rpartition(":")
        receiver = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
        try:
            receiver.request("POST", path, body, headers)
            reply = receiver.getresponse()
            return reply.status, reply.getheader("Content-Type", ""), reply.read()
        except (OSError, http.client.HTTPException) as error:
            return UNAVAILABLE, "text/plain", f"{type(error).__name__}: {error}".encode()
        finally:
            receiver.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], gate: Gate) -> None:
        self.gate = gate
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN_HEADERS}
        status, kind, content = self.server.gate.answer(self.path, headers, body)
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: what is refused shows in the senders' metrics."""
