"""``python -m testbed.selftest.service``: a service of its user's own, for defects of such a run.

It knows nothing of the testbed: it predicts by a rule of thumb, counts its requests with
prometheus_client, and breaks when it is asked to. With ``LIES=1`` its counter misses one in thirty.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import ClassVar, Final

from prometheus_client import Counter, generate_latest

REQUESTS: Final = Counter("shop_requests_total", "Requests for a prediction.", ["status"])
SEEN: Final = count(1)
MISSED: Final = 30
OK, UNUSABLE, BROKEN, UNKNOWN = 200, 422, 500, 404


class Shop(BaseHTTPRequestHandler):
    """Its routes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    broken: ClassVar[bool] = False

    def do_GET(self) -> None:
        """Health, and the page of metrics."""
        if self.path == "/metrics":
            self._answer(OK, generate_latest(), "text/plain; version=0.0.4")
        else:
            self._answer(OK if self.path == "/health" else UNKNOWN, b"{}")

    def do_POST(self) -> None:
        """A prediction; or it is broken, or mended."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path in {"/break", "/mend"}:
            type(self).broken = self.path == "/break"
            self._answer(OK, b"{}")
            return
        status, answer = self._predicted(body)
        if not (os.environ.get("LIES") and next(SEEN) % MISSED == 0):
            REQUESTS.labels(str(status)).inc()
        self._answer(status, json.dumps(answer).encode())

    def _predicted(self, body: bytes) -> tuple[int, dict[str, object]]:
        if self.broken:
            return BROKEN, {"error": "broken"}
        try:
            row = json.loads(body)
            risk = 0.01 * (row["Glucose"] - 90) + 0.02 * (row["BMI"] - 25)
        except (ValueError, LookupError, TypeError) as error:
            return UNUSABLE, {"error": f"the body is not a row: {error!r}"}
        risk = min(max(risk, 0.01), 0.99)
        return OK, {"diabetic": risk > 1 / 2, "confidence": max(risk, 1 - risk)}

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
