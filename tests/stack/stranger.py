"""A service of somebody else on the same machine that calls itself as the run's own."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USUAL = ("http://127.0.0.1:4318/v1/metrics", "http://127.0.0.1:9090/api/v1/otlp/v1/metrics")


def metrics() -> dict[str, object]:
    """Requests and errors of another service that calls itself as the run's own."""
    point = {
        "asDouble": 100_000 + time.time() % 1000,
        "timeUnixNano": str(time.time_ns()),
        "attributes": [
            {"key": key, "value": {"stringValue": value}}
            for key, value in (("http.route", "/predict"), ("error.type", "500"))
        ],
    }
    total = {
        "name": "ml.prediction.errors",
        "sum": {"dataPoints": [point], "isMonotonic": True, "aggregationTemporality": 2},
    }
    resource = {
        "attributes": [
            {"key": key, "value": {"stringValue": value}}
            for key, value in (("service.name", "ml-api"), ("service.instance.id", "stranger"))
        ]
    }
    scope = {"scopeMetrics": [{"metrics": [total]}]}
    return {"resourceMetrics": [{"resource": resource, **scope}]}


class Stranger:
    """Sends its metrics everywhere, again and again, and keeps what was answered."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._over = threading.Event()
        self.answers: dict[str, set[int]] = {"collector": set(), "prometheus": set()}

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Send until the block ends."""
        thread = threading.Thread(target=self._send)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _send(self) -> None:
        while not self._over.wait(0.5):
            for url in USUAL:
                with contextlib.suppress(httpx.HTTPError):
                    httpx.post(url, json=metrics(), timeout=2)
            for name, url in self._guessed().items():
                with contextlib.suppress(httpx.HTTPError):
                    self.answers[name].add(httpx.post(url, json=metrics(), timeout=2).status_code)

    def _guessed(self) -> dict[str, str]:
        """The run's own ports, without its id."""
        try:
            found = json.loads((self._run / "run.json").read_text())["endpoints"]
        except (OSError, ValueError):
            return {}
        return {
            "collector": f"http://{found['collector:4318']}/v1/metrics",
            "prometheus": f"http://{found['prometheus:9090']}/api/v1/otlp/v1/metrics",
        }
