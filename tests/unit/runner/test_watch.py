"""What is seen of a run while it goes on, and how it is shown."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console
from testbed.board import Board
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.preparation import make_layout, new_run_id, smtp_settings
from testbed.settings import Settings
from testbed.timeline import Event
from testbed.watch import Watch, WatchView

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing answers there


def append(path: Path, **fields: object) -> None:
    """Add one JSON line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(fields) + "\n")


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """An empty run."""
    return RunLayout(tmp_path / "run").create()


def test_requests_are_counted_and_timed(layout: RunLayout) -> None:
    """Failures are 5xx and no answer; the rate and the percentile are of the last five seconds."""
    requests = layout.truth / "requests.jsonl"
    append(requests, status=503, sent_at=90.0, finished_at=91.0)
    append(requests, status=None, sent_at=90.0, finished_at=91.0)
    append(requests, status=422, sent_at=90.0, finished_at=91.0)
    for number in range(10):
        append(requests, status=200, sent_at=100.0, finished_at=100.0 + number / 10)
    seen = Watch(layout, NOWHERE, lambda: 101.0).update()
    assert (seen.sent, seen.failed) == (13, 2)
    assert seen.rate == 2.0
    assert seen.p95 == pytest.approx(0.8)


def test_a_repeated_firing_takes_back_the_resolution(layout: RunLayout) -> None:
    """An alert that fires again is not resolved, and keeps the time at which it first fired."""
    watch = Watch(layout, NOWHERE, lambda: 0.0)
    append(layout.notifications, alertname="A", status="firing", received_at=1.0)
    append(layout.notifications, alertname="A", status="resolved", received_at=2.0)
    assert watch.update().resolved == {"A": 2.0}
    append(layout.notifications, alertname="A", status="firing", received_at=3.0)
    assert watch.update().resolved == {}
    assert watch.snapshot.notified == {"A": 1.0}


def test_without_a_terminal_each_fact_is_one_line() -> None:
    """Events, alerts and notifications are reported once, when they change."""
    output = io.StringIO()
    board = Board(Console(file=output, width=100), "Title", [], 10.0)
    snapshot = WatchView(alerts={"A": "firing"}, notified={"A": 1.0})
    with board:
        board.event(Event(0.0, "phase_started", "normal"))
        board.tick(snapshot, 1.0)
        board.tick(snapshot, 2.0)
    lines = [line.split("] ")[1] for line in output.getvalue().splitlines()]
    assert lines == ["phase normal", "alert A is firing", "notified: A"]


def test_on_a_terminal_a_board_is_drawn() -> None:
    """Phase, counts and alerts stand on the board; text of users can't be markup."""
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True)
    board = Board(console, "[red]Title", [], 10.0)
    with board:
        board.event(Event(0.0, "component_crashed", "api", {"outcome": "api [/] ended"}))
        board.tick(WatchView(sent=5, failed=1, alerts={"A": "pending"}), 1.0)
    drawn = output.getvalue()
    for text in ("[red]Title", "5 sent, 1 failed", "A pending", "api [/] ended"):
        assert text in drawn


def test_run_folders(tmp_path: Path, layout: RunLayout) -> None:
    """A second run of the same second gets a folder of its own; a used --out is refused."""
    settings = Settings(home=tmp_path)
    run_id = new_run_id("demo", 3, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert run_id == "20260102T030405-demo-seed3"
    first = make_layout(settings, run_id, None)
    second = make_layout(settings, run_id, None)
    assert (first.root.name, second.root.name) == (run_id, f"{run_id}-2")
    with pytest.raises(UsageError, match="is not empty"):
        make_layout(settings, run_id, layout.root)


def test_half_of_the_email_settings_is_an_error() -> None:
    """A server without a receiver would send nothing, silently."""
    assert smtp_settings(Settings()) is None
    with pytest.raises(UsageError, match="TESTBED_SMTP_TO"):
        smtp_settings(Settings(smtp_host="mail:25"))


def test_what_always_fires_is_not_waited_for(layout: RunLayout) -> None:
    """Heartbeats and what nobody has to act on are left out, else a run would never be quiet."""
    alerts = [
        {"labels": {"alertname": "Beat", "severity": "page"}, "state": "firing"},
        {"labels": {"alertname": "Inhibitor", "severity": "none"}, "state": "firing"},
        {"labels": {"alertname": "Other", "severity": "warning"}, "state": "pending"},
    ]
    body = json.dumps({"data": {"alerts": alerts}}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        watch = Watch(layout, url, lambda: 0.0, heartbeats={"Beat"})
        assert watch.update().alerts == {"Other": "pending"}
        server.shutdown()
