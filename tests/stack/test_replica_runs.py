"""Runs with several replicas: all of them count, and one that is killed is accounted for."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.support.commandline import CommandLine
from tests.support.jsonlines import whole_lines
from tests.support.polling import wait_for
from tests.support.typedpage import typed_in, variables_in

from .playing import NO_REPORTS, QUICK, SHORT, play

LOADS = "how-to/more-load.md"


@pytest.mark.long
def test_two_replicas_of_another_use_case_add_up(command_line: CommandLine) -> None:
    """Each is scraped and counted under its own id; sums and single series all agree.

    That it is another use case needs no other code, nor that two processes send, with telemetry of
    their own.
    """
    several, told = "PROCESSES=2 testbed run", "LOAD_TELEMETRY=true testbed run"
    command_line.environment |= variables_in(LOADS, several) | variables_in(LOADS, told)
    _, scenario = typed_in(LOADS, several, {"demo": "normal"})
    options = ("--use-case", "iris", "--replicas", "2", *QUICK)
    result = play(command_line, scenario, *options)
    assert result.code == 0, result.output
    spans = _check(result.verdict, "spans of the load")
    assert (spans["applicable"], spans["passed"]) == (True, True), spans
    instances = result.verdict["instances"]
    started = whole_lines(result.out / "replicas.jsonl")
    assert {row["instance"] for row in instances} == {line["instance"] for line in started}
    assert len(instances) == 2
    assert all(row["api"] == row["prometheus"] > 0 for row in instances)
    arrived = next(hop for hop in result.verdict["hops"] if hop["key"] == "load_api")["arrived"]
    assert sum(row["api"] for row in instances) == arrived
    assert {"name": "replicas", "passed": True}.items() <= _check(
        result.verdict, "replicas"
    ).items()


@pytest.mark.long
def test_a_killed_replica_is_accounted_for(command_line: CommandLine) -> None:
    """Kill -9 under load: the verdict names the crash; each difference has a reason."""
    folder = command_line.folder / "run"
    command_line.environment |= NO_REPORTS
    with command_line.start("run", SHORT, "--replicas", "2", "--out", "run") as process:
        wait_for(
            lambda: len(whole_lines(folder / "truth" / "requests.jsonl")) > 200,
            120,
            lambda: command_line.output,
            process,
        )
        victim = next(e for e in whole_lines(folder / "replicas.jsonl") if e["event"] == "started")
        os.kill(victim["pid"], signal.SIGKILL)
        wait_for(lambda: process.poll() is not None, 120, "the run does not end")
    assert process.returncode == 1, command_line.output
    verdict = json.loads((folder / "verdict.json").read_text())
    residuals = {hop["key"]: hop["residual"] for hop in verdict["hops"]}
    assert {"load_api", "api_prometheus", "api_log", "points_collector"} <= set(residuals)
    assert set(residuals.values()) == {0}
    failed = {check["name"] for check in verdict["checks"] if not check["passed"]}
    assert not {name for name in failed if name.startswith("counts")}, command_line.output
    replicas = _check(verdict, "replicas")
    assert replicas["summary"] == "1 crashed, 1 started again"
    assert replicas["details"] == [f"{victim['instance']}: crashed, signal 9"]
    rows = {row["instance"]: row for row in verdict["instances"]}
    assert len(rows) == 3
    assert rows.pop(victim["instance"])["api"] is None
    assert all(row["api"] == row["prometheus"] for row in rows.values())


def _check(verdict: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(check for check in verdict["checks"] if check["name"] == name)
    return found
