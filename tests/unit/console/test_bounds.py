"""Answers of Prometheus that are huge, that have no end, or that never come."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from testbed.consoleapp import asking, runfolder
from testbed.consoleapp.asking import query_page, rules_page
from testbed.consoleapp.pages import render
from testbed.consoleapp.runfolder import RunFolder
from testbed.layout import RunLayout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Fake:
    """A Prometheus that has a million series.

    Attributes:
        run: of the stack whose Prometheus it is.
        queries: forms of the queries.
        endless: whether an answer has no end.
        over: set at its end.
    """

    run: RunFolder
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    endless: bool = False
    over: Event = field(default_factory=Event)

    def data(self, path: str) -> dict[str, Any]:
        """What an answer holds."""
        if path.endswith("/rules"):
            rule = {"type": "alerting", "name": "A", "query": "rate(x[5m]) > 3"}
            return {"groups": [{"name": "g", "rules": [rule] * 50}]}
        count = min(1_000_000, int(self.queries[-1].get("limit", ["0"])[0]) or 1_000_000)
        many = [{"metric": {"i": str(i)}} for i in range(count)]
        if path.endswith("/query_range"):
            return {"resultType": "matrix", "result": [m | {"values": [[1, "1"]]} for m in many]}
        return {"resultType": "vector", "result": [m | {"value": [1, "1"]} for m in many]}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    """It, served."""
    layout = RunLayout(tmp_path / "one").create()
    there = Fake(RunFolder(layout))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            there.queries.append(parse_qs(form))
            self.send_response(200)
            self.end_headers()
            while there.endless and not there.over.wait(0.01):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return
            if not there.endless:
                self.wfile.write(json.dumps({"data": there.data(self.path)}).encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever, 0.01)
        endpoints = {"prometheus:9090": f"127.0.0.1:{server.server_port}"}
        layout.run_file.write_text(json.dumps({"endpoints": endpoints}))
        yield there
        there.over.set()
        server.shutdown()


def test_a_query_of_a_million_series_asks_for_some(fake: Fake) -> None:
    """The graph of all would be a gigabyte; the page says that there are more."""
    shown = query_page(fake.run, {"expr": "up"})
    page = render("query", run="one", here="/query", **shown)
    assert "There are more series" in page
    assert [form["limit"] for form in fake.queries] == [["1000"], ["1000"]]


def test_an_answer_without_an_end_is_left(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then would keep a page, and a thread of the console, for ever."""
    monkeypatch.setattr(runfolder, "ANSWER_SECONDS", 0.2)
    fake.endless = True
    assert "no whole answer within 0.2 s" in str(query_page(fake.run, {"expr": "up"})["problem"])


def test_a_huge_answer_is_left(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    monkeypatch.setattr(runfolder, "ANSWER_BYTES", 1000)
    assert "over 1,000 bytes" in str(query_page(fake.run, {"expr": "up"})["problem"])


def test_values_of_rules_are_asked_for_some_seconds(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a query, and a run's Prometheus has other work to do."""
    monkeypatch.setattr(asking, "VALUES_SECONDS", 0.0)
    shown = rules_page(fake.run)
    assert len(fake.queries) == 2  # the rules, twice
    assert "did not give it within 0 s" in render("rules", run="one", here="/rules", **shown)
