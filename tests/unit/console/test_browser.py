"""The console's script in a real browser, on a page of its own."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from testbed.consoleapp.pages import STATIC
from testbed.layout import RunLayout

from tests.browser import browsing
from tests.support.accessibility import (
    announced,
    contrast_problems,
    keyboard_problems,
    listen,
    press,
    structure_problems,
)
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running
from tests.unit.console.test_traces import span
from tests.unit.console.test_views import NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser import Tab

PAGE = """<!doctype html><script src="console.js" defer></script>
<form data-token><input name="token" type="password"></form>"""
SHOWN = "document.querySelector('input')?.value + location.hash"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def _shows(tab: Tab, expected: str) -> bool:
    return bool(tab.ask(SHOWN) == expected)


def test_the_link_with_the_token_may_be_opened_where_the_console_is_open(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """The form has the token then, and the address no longer."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "console.js").write_bytes(STATIC["console.js"][0].read_bytes())
    handler = partial(_Quiet, directory=str(folder))
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        ThreadPoolExecutor() as pool,
        browsing(program("chromium", "google-chrome"), tmp_path / "profile") as tab,
    ):
        pool.submit(server.serve_forever, 0.01)
        try:
            for link, expected in (
                ("", ""),
                ("#token=first", "first"),
                ("#token=second", "second"),
            ):
                url = f"http://127.0.0.1:{server.server_port}/{link}"
                tab.call("Page.navigate", url=url)
                wait_for(partial(_shows, tab, expected), 10, f"not {expected!r}")
        finally:
            server.shutdown()


@pytest.fixture
def run(tmp_path: Path) -> RunLayout:
    """A run of ``up`` whose components are gone; its files have something for each page."""
    layout = RunLayout(tmp_path / "runs" / "one").create()
    endpoints = {name: f"127.0.0.1:{free_port()}" for name in ("prometheus:9090", "api:9464")}
    identity = {"scenario": "up", "time_scale": 30.0, "replicas": 1, "trace_ratio": 0.01}
    layout.run_file.write_text(json.dumps(identity | {"endpoints": endpoints}))
    traces = [span("a" * 32, "1", duration=0.5), span("a" * 32, "2", "1", status="ERROR")]
    layout.traces.write_text("".join(f"{json.dumps(each)}\n" for each in traces))
    record = {"time": 1.0, "severity": 17, "severity_text": "ERROR", "service": "ml-api"}
    record |= {"body": "refused", "attributes": {"a": "b"}, "trace_id": "a" * 32, "span_id": "1"}
    layout.log_records.write_text(f"{json.dumps(record)}\n")
    layout.notifications.write_text(f"{json.dumps(NOTICE)}\n")
    events = [("component_started", {"pid": 7}), ("component_ready", {})]
    layout.timeline.write_text(
        "".join(
            json.dumps({"event": kind, "time": 1.0, "name": "api", **more}) + "\n"
            for kind, more in events
        )
    )
    return layout


@pytest.mark.slow
def test_the_console_without_a_mouse_and_without_sight(
    run: RunLayout, tmp_path: Path, program: Callable[..., str]
) -> None:
    """By keyboard and by a screen reader; what is pushed is not read out but for the summary."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "testbed.consoleapp", "--port", str(port), "--control"]
    command += ["--run", str(run.root), "--runs", str(run.root.parent)]
    with (
        running(command, tmp_path / "log", f"{url}/health/ready"),
        browsing(program("chromium", "google-chrome"), tmp_path / "profile") as tab,
    ):
        pages = ("", "traces", f"traces/{'a' * 32}", "logs", "logs?component=api", "nothing")
        for page in (*pages, "runbooks/ModelNotLoaded.md"):  # those of Prometheus: the demo's
            tab.look(1280)
            tab.open(f"{url}/{page}")
            assert structure_problems(tab) == [], page
            assert contrast_problems(tab) == [], page
            assert keyboard_problems(tab) == [], page

        tab.open(url)
        press(tab, "Tab")
        press(tab, "Enter", "\r")
        assert tab.ask("document.activeElement.id") == "content", "the link skips to the content"
        opened = "[...document.querySelectorAll('.control > details')].map((e) => e.open)"
        tab.ask("document.querySelector('.control summary').focus()")
        for key, text, expected in (
            (" ", " ", [True]),
            ("Enter", "\r", [False]),
            (" ", " ", [True]),
        ):
            press(tab, key, text)
            assert tab.ask(opened) == expected
        assert structure_problems(tab) == contrast_problems(tab) == keyboard_problems(tab) == []

        listen(tab)
        tab.open(url)
        with run.notifications.open("a") as file:
            file.write(json.dumps(NOTICE | {"receiver": "another"}) + "\n")
        wait_for(lambda: "another" in tab.text, 30, "nothing was pushed")
        assert announced(tab) == [], "also what is pushed first is no change of the summary"
