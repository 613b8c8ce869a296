"""What users do besides a run: up, status, logs, down, interruption, kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from .conftest import CommandLine, wait_for

STARTED = "The stack runs until Ctrl-C"


def run_folder(line: CommandLine) -> Path:
    """The only run's folder."""
    (folder,) = (line.folder / ".testbed" / "runs").iterdir()
    return folder


def started(line: CommandLine, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait until `up` has started its stack; what it wrote about it."""
    wait_for(
        lambda: STARTED in line.output or process.poll() is not None,
        120,
        "the stack did not start",
    )
    assert process.poll() is None, line.output
    stack: dict[str, Any] = json.loads((run_folder(line) / "stack.json").read_text())
    return stack


def test_up_status_logs_down(command_line: CommandLine) -> None:
    """The stack stays, every URL answers, other terminals see it, and down stops all of it."""
    assert command_line.run("status").code == 1
    with command_line.start("up", "--time-scale", "30", background=True) as process:
        stack = started(command_line, process)
        assert set(stack["parts"]) == {
            *("collector", "prometheus", "alertmanager", "node_exporter"),
            *("receiver", "api", "drift", "locust", "evidently"),
        }
        for name, url in stack["urls"].items():
            assert httpx.get(url, timeout=5).status_code == 200, name
            assert url in command_line.output
        status = command_line.run("status")
        assert status.code == 0
        assert "Locust web UI" in status.output
        assert "Evidently UI" in status.output
        log = command_line.run("logs", "prometheus")
        assert "Server is ready" in log.output
        missing = command_line.run("logs", "kafka")
        assert missing.code == 2
        assert "there are alertmanager, api" in missing.output
        down = command_line.run("down")
        assert down.code == 0
        assert process.wait(20) == 0
    assert not (run_folder(command_line) / "stack.json").exists()
    assert command_line.run("status").code == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_an_interrupted_run(
    command_line: CommandLine, how: signal.Signals
) -> None:
    """However the runner ends, no process is left and no result looks finished."""
    with command_line.start("run", "normal", "--out", "run") as process:
        wait_for(
            lambda: (
                (command_line.folder / "run" / "truth" / "start.json").exists()
                or process.poll() is not None
            ),
            120,
            "the load did not start",
        )
        assert process.poll() is None, command_line.output
        assert len(command_line.left()) > 8
        process.send_signal(how)
        code = process.wait(30)
    wait_for(lambda: not command_line.left(), 15, "processes are left")
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 2)
    for name in ("verdict.json", "report.html", "junit.xml"):
        assert not (command_line.folder / "run" / name).exists()


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


def test_usual_ports_may_be_taken(command_line: CommandLine) -> None:
    """Another service on a usual port makes the stack choose a free one."""
    ports = {"Prometheus API": 9090, "Alertmanager": 9093, "Machine metrics": 9100}
    with taken(ports) as name, command_line.start("up", "--time-scale", "30") as process:
        stack = started(command_line, process)
        assert urlsplit(stack["urls"][name]).port != ports[name]


def test_a_crashed_part_is_reported_with_its_log(command_line: CommandLine) -> None:
    """A part that dies ends `up` at once, with exit 2 and the tail of its log."""
    with command_line.start("up", "--time-scale", "30") as process:
        stack = started(command_line, process)
        os.kill(stack["parts"]["alertmanager"], signal.SIGKILL)
        assert process.wait(30) == 2
    assert "alertmanager" in command_line.output
    assert "SIGKILL" in command_line.output or "signal 9" in command_line.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "nonsense"], "no scenario 'nonsense'; there are"),
        (["run", "normal", "--without", "api"], "may be left out: collector"),
        (["run", "normal", "--data", "absent.csv"], "absent.csv"),
        (["run", "normal", "--use-case", "houses"], "houses"),
        (["run", "normal", "--time-scale", "900"], "samples"),
        (["run", "normal", "--rules", "absent"], "absent"),
        (["report", "nothing"], "no run"),
        (["load", "normal", "--users", "2", "--rate", "3"], "not both"),
        (["clean", "--older-than", "soon"], "soon"),
    ],
)
def test_bad_input_is_one_clear_line(
    command_line: CommandLine, arguments: list[str], complaint: str
) -> None:
    """Exit 2, one line that says what to do, no traceback."""
    result = command_line.run(*arguments)
    assert result.code == 2, result.output
    assert complaint in result.output
    assert "Traceback" not in result.output
