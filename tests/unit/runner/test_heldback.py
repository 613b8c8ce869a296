"""What Alertmanager holds back is recorded when it changes."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from testbed.heldback import HeldBackRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Alertmanager:
    """Answers with the alerts that a test gives it."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                groups = [{"alerts": outer.alerts}, {"alerts": outer.alerts[-1:]}]
                body = json.dumps(groups if self.path.endswith("/groups") else []).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def hold(self, name: str, state: str = "active", **by: list[str]) -> None:
        """Let it hold an alert."""
        self.alerts.append(
            {
                "labels": {"alertname": name, "severity": "warning"},
                "annotations": {},
                "startsAt": "",
                "endsAt": "",
                "receivers": [],
                "fingerprint": f"print of {name}",
                "status": {"state": state, "inhibitedBy": [], "silencedBy": [], **by},
            }
        )


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    """One that holds nothing."""
    alertmanager = Alertmanager()
    yield alertmanager
    alertmanager.server.shutdown()
    alertmanager.server.server_close()


def test_changes_are_recorded_with_the_names_of_those_who_hold_back(
    alertmanager: Alertmanager, tmp_path: Path
) -> None:
    """The first look is a line, too, and what stays as it is makes none."""
    path = tmp_path / "held-back.jsonl"
    times = iter(range(100))
    recorder = HeldBackRecorder(path, alertmanager.url, lambda: float(next(times)))
    recorder.look()
    recorder.look()
    alertmanager.hold("Source")
    alertmanager.hold("Target", "suppressed", inhibitedBy=["print of Source"])
    alertmanager.hold("Quiet", "suppressed", silencedBy=["s-1"], mutedBy=["night"])
    recorder.look()
    recorder.look()
    alertmanager.alerts.clear()
    recorder.look()
    first, second, third = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["held"], third["held"]) == ([], [])
    assert [(h["labels"]["alertname"], h["kind"], h["by"]) for h in second["held"]] == [
        ("Quiet", "muted", "night"),
        ("Quiet", "silenced", "s-1"),
        ("Target", "inhibited", 'Source{severity="warning"}'),
    ]


def test_an_alertmanager_that_is_gone_leaves_no_line(tmp_path: Path) -> None:
    """It is asked again, and nothing is claimed meanwhile."""
    path = tmp_path / "held-back.jsonl"
    HeldBackRecorder(path, "http://127.0.0.1:9", lambda: 0.0).look()
    assert not path.exists()
