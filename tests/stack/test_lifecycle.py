"""What users do besides a run: up, status, logs, down, interruption, kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.support.commandline import HELD, CommandLine
from tests.support.polling import PATIENCE, wait_for
from tests.support.typedpage import typed_in, variables_in

from .playing import NO_REPORTS

LOADS, TUTORIAL = "how-to/more-load.md", "tutorial.md"
USUAL = {"Prometheus API": 9090, "Alertmanager": 9093, "Machine metrics": 9100}


def run_folder(line: CommandLine) -> Path:
    """The only run's folder."""
    (folder,) = (line.folder / ".testbed" / "runs").iterdir()
    return folder


def started(line: CommandLine, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until `up` has started its stack; what it wrote about it."""
    wait_for(lambda: HELD in line.output, 120, lambda: line.output, process)
    stack: dict[str, Any] = json.loads((run_folder(line) / "stack.json").read_text())
    return stack


@contextlib.contextmanager
def taken(ports: Mapping[str, int]) -> Iterator[str]:
    """Listen on the first port that nobody has, which may take the end of another test's stack."""
    found: list[str] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def listens(name: str) -> bool:
            try:
                other.bind(("127.0.0.1", ports[name]))
            except OSError:
                return False
            other.listen()
            found.append(name)
            return True

        wait_for(lambda: any(map(listens, ports)), 300, "somebody has all of the ports")
        yield found[0]


def started_from_the_console(console: str, folder: Path) -> None:
    """A scenario, a load and a fault begin and end by its forms, and only with the token."""
    token = (folder / "console-token").read_text().strip()

    def change(action: str, **form: str) -> int:
        data = {"token": token, "do": "start"} | form
        return httpx.post(f"{console}{action}", data=data, timeout=60).status_code

    def shown() -> str:
        return httpx.get(console, timeout=60).text

    assert change("load", token="") == 403
    assert change("scenario", name="demo") == 400, "this stack was started for another one"
    assert change("scenario", name="normal") == 303
    wait_for(lambda: "<progress" in shown(), 120, shown)
    assert change("load") == 400, "what is played would have another verdict"
    assert change("scenario", do="stop") == 303
    wait_for(lambda: "normal was stopped" in shown(), 120, shown)
    assert change("load", load_profile="normal", rate="20", duration="0", seed="1") == 303
    assert change("fault", kind="errors", ratio="2") == 400
    assert change("fault", kind="errors", ratio="0.5") == 303
    wait_for(lambda: "</span>500 <b>" in shown(), 120, shown)
    assert change("fault", do="stop") == change("load", do="stop") == 303


def series(prometheus: str, query: str) -> list[dict[str, str]]:
    """The labels of what a query finds."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}, timeout=60)
    return [found["metric"] for found in answer.json()["data"]["result"]]


def other_systems_jobs(prometheus: str) -> None:
    """Rules that ask by another system's jobs find them, and nothing is there twice."""
    for job in ("fastapi", "node-exporter", "ml-api", "node"):
        there = partial(series, prometheus, f'up{{job="{job}"}} == 1')
        wait_for(there, 60, f"no up of {job}")
    for metric, job in (
        ("http_requests_total", "fastapi"),
        ("ml_model_loaded", "ml-api"),
        ("node_memory_MemAvailable_bytes", "node-exporter"),
    ):
        wait_for(partial(series, prometheus, metric), 60, f"no {metric}")
        assert {each["job"] for each in series(prometheus, metric)} == {job}


def test_up_status_logs_down(command_line: CommandLine) -> None:
    """The stack stays, every URL answers, other terminals see it, and down stops all of it.

    Another service on a usual port makes it choose a free one; its loads send telemetry.
    """
    asked = typed_in(TUTORIAL, "testbed status")
    assert command_line.run(*asked).code == 1
    up = typed_in("how-to/console.md", "testbed up --scenario", {"demo": "normal"})
    command_line.environment |= variables_in(LOADS, "LOAD_TELEMETRY=true testbed up")
    command_line.environment |= {"TESTBED_JOB_NAMES": "fastapi-instrumentator"}
    with taken(USUAL) as usual, command_line.start(*up, background=True) as process:
        stack = started(command_line, process)
        assert urlsplit(stack["urls"][usual]).port != USUAL[usual]
        assert set(stack["components"]) == {
            *("collector", "prometheus", "alertmanager", "node_exporter"),
            *("receiver", "api", "drift", "locust", "evidently", "console"),
        }
        for name, url in stack["urls"].items():
            assert httpx.get(url, timeout=60).status_code == 200, name
            assert url in command_line.output
        assert f"{stack['urls']['Console']}#token=" in command_line.output
        prometheus = stack["urls"]["Prometheus API"].removesuffix("/api/v1/alerts")
        shown = httpx.get(f"{prometheus}/graph?g0.expr=up", follow_redirects=True)
        assert shown.status_code == 200
        # The web UI; of a Prometheus that was compiled, a page that leads to the console.
        assert 'id="root"' in shown.text or f"{stack['urls']['Console']}query" in shown.text
        other_systems_jobs(prometheus)
        folder = run_folder(command_line)
        started_from_the_console(stack["urls"]["Console"], folder)
        durations = 'http_client_request_duration_seconds_count{job="testbed-load"}'
        sent = partial(series, prometheus, f"last_over_time({durations}[1h])")
        wait_for(sent, 60, "the load sent no telemetry")
        status = command_line.run(*asked)
        assert status.code == 0
        assert "Locust web UI" in status.output
        assert "Evidently UI" in status.output
        logs = typed_in(TUTORIAL, "testbed logs", {"drift": "prometheus"})
        log = command_line.run(*logs)
        assert "Server is ready" in log.output
        missing = command_line.run("logs", "kafka")
        assert missing.code == 2
        assert "logs: alertmanager, api" in missing.output
        down = command_line.run(*typed_in(TUTORIAL, "testbed down"))
        assert down.code == 0
        assert process.wait(PATIENCE) == 0
    assert not (folder / "stack.json").exists()
    assert command_line.run("status").code == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_an_interrupted_run(
    command_line: CommandLine, how: signal.Signals
) -> None:
    """However the runner ends, no process is left and no result looks finished."""
    command_line.environment |= NO_REPORTS
    with command_line.start("run", "normal", "--out", "run") as process:
        begun = (command_line.folder / "run" / "truth" / "start.json").exists
        wait_for(begun, 120, lambda: command_line.output, process)
        assert len(command_line.left()) > 8
        process.send_signal(how)
        code = process.wait(PATIENCE)
    wait_for(lambda: not command_line.left(), what="processes are left")
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 2)
    for name in ("verdict.json", "report.html", "junit.xml"):
        assert not (command_line.folder / "run" / name).exists()


def test_a_crashed_component_is_reported_with_its_log(command_line: CommandLine) -> None:
    """A component that dies ends `up` at once, with exit 2 and the tail of its log.

    The drift job of that stack may train, after a cool-down that is as much faster.
    """
    page, command = "how-to/retrain.md", "testbed up --time-scale"
    up = typed_in(page, command)
    assert up == typed_in(TUTORIAL, command)
    command_line.environment |= NO_REPORTS | variables_in(page, command)
    with command_line.start(*up) as process:
        stack = started(command_line, process)
        job = psutil.Process(stack["components"]["drift"]).environ()
        assert job["TESTBED_DRIFT_ON_RETRAIN"] == "builtin"
        assert float(job["TESTBED_DRIFT_RETRAIN_COOLDOWN"]) == 3600 / float(up[-1])
        os.kill(stack["components"]["alertmanager"], signal.SIGKILL)
        assert process.wait(PATIENCE) == 2
    assert "alertmanager" in command_line.output
    assert "SIGKILL" in command_line.output or "signal 9" in command_line.output


def test_a_stack_that_is_not_ready_in_time_says_how_long_it_had(command_line: CommandLine) -> None:
    """And which setting gives it more, not what was left of that for the last component."""
    command_line.environment["TESTBED_START_TIMEOUT"] = "0.5"
    result = command_line.run("up")
    assert result.code == 2, result.output
    said = ": not ready within the 0.5 s that a stack has to start (TESTBED_START_TIMEOUT): "
    assert said in result.output


def test_bad_input_is_one_clear_line(command_line: CommandLine) -> None:
    """Exit 2, one line that says what to do, no traceback; tests/unit/cli has many more."""
    result = command_line.run("run", "nonsense")
    assert result.code == 2, result.output
    assert "there is no scenario 'nonsense'; choose from" in result.output
    assert "Traceback" not in result.output
