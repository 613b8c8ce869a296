"""Playing many scenarios: the order, the summary of each, and the table."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from testbed.alertneeds import alert_labels
from testbed.errors import UsageError
from testbed.facts.configured import groups_in
from testbed.playall import (
    PlayedScenario,
    command,
    group_command,
    lines,
    longest_first,
    main,
    play_all,
    played,
    summary,
    usual_jobs,
)
from testbed.playgroup import GROUP_FILE, grouped
from testbed.resources import find_scenario
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.servicefile import read_service
from testbed.settings import Settings
from testbed.sidebyside import Ended, run_side_by_side
from testbed.suited import not_suited

from tests.support.polling import PATIENCE, wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_the_longest_scenario_begins_first() -> None:
    """So that no long one is left for the end, when the other place stands empty."""
    assert longest_first(["normal", "error-margin", "demo"]) == ["error-margin", "demo", "normal"]


@pytest.mark.parametrize(("processors", "stacks"), [(1, 2), (2, 4), (32, 8)])
def test_stacks_at_a_time_follow_the_processors(
    processors: int, stacks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that this process may use."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)))
    assert usual_jobs() == stacks


def test_a_failed_run_is_summed_up_by_its_first_broken_link(tmp_path: Path) -> None:
    """Checks stand in the order of the way of the data."""
    verdict = tmp_path / "verdict.json"
    checks = [
        {"passed": True, "stage": "load", "summary": "fine"},
        {"passed": False, "stage": "rule", "summary": "never fired"},
        {"passed": False, "stage": "route", "summary": "not notified"},
    ]
    verdict.write_text(json.dumps({"checks": checks}))
    assert summary(verdict, tmp_path / "log", 1) == ("1 of 3", "rule: never fired", False)


def test_a_run_that_could_not_be_evaluated_is_summed_up_by_its_last_words(tmp_path: Path) -> None:
    """As it prints one line that says what to do."""
    log = tmp_path / "log"
    log.write_text("starting\n\ntestbed: no free port\n\n")
    assert summary(tmp_path / "verdict.json", log, 2) == (*("", "testbed: no free port", False),)
    verdict = tmp_path / "verdict.json"
    late = {"checks": [{"passed": False, "stage": "load", "summary": "s"}], "too_slow": "scale 15"}
    verdict.write_text(json.dumps(late))
    assert summary(verdict, log, 2) == ("0 of 1", "testbed: no free port", True)


def test_what_a_service_can_not_play_is_left_out_by_name(tmp_path: Path) -> None:
    """Faults of the bundled API, and alerts whose rules are about it; else there is no reason."""
    file = tmp_path / "service.yaml"
    file.write_text("service: shop\nurl: http://127.0.0.1:5000\nuse_cases: [diabetes]\n")
    shop = read_service(file)

    def reason(name: str) -> str | None:
        scenario = read_scenario(find_scenario(name))
        return not_suited(scenario, shop, scenario.use_case)

    assert reason("covariate-drift") is None
    assert "only the bundled API can do this" in (reason("error-burst") or "")
    assert "retraining of the model" in (reason("retraining-failed") or "")
    assert "hits api, which is not a component" in (reason("frozen-api") or "")
    assert "answers rows of diabetes" in (reason("regression-drift") or "")
    assert "each of its rules sets another: " in (reason("replica-silent") or "")
    assert reason("killed-collector") is None
    assert not_suited(read_scenario(find_scenario("error-burst")), None, "diabetes") is None


def test_labels_of_a_group_are_those_of_its_rules() -> None:
    """Prometheus gives them, but where a rule sets its own."""
    rules = [{"alert": "A", "expr": "up"}, {"alert": "A", "expr": "up", "labels": {"team": "b"}}]
    group = {"name": "g", "labels": {"team": "a", "more": "1"}, "rules": rules}
    assert alert_labels(groups_in({"file": {"groups": [group]}})) == {
        "A": [{"team": "a", "more": "1"}, {"team": "b", "more": "1"}]
    }


@pytest.mark.parametrize(
    ("use_case", "said"),
    [
        ("titanic", "is to be sent rows of titanic"),
        (None, "none of the scenarios can be played"),
    ],
)
def test_where_nothing_can_be_played_there_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], use_case: str | None, said: str
) -> None:
    """The use case that would be sent counts, and who plays nothing has not passed."""
    file = tmp_path / "service.yaml"
    file.write_text("service: shop\nurl: http://127.0.0.1:5000\nuse_cases: [diabetes]\n")
    options = RunOptions(use_case=use_case, target=read_service(file))
    names = ("error-burst",) if use_case is None else ("covariate-drift", "normal")
    with pytest.raises(UsageError, match="none of the scenarios can be played") as caught:
        play_all(names, tmp_path / "out", 1, options, file)
    assert said in f"{capsys.readouterr().out}{caught.value}"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_that_could_not_run_is_not_shown_as_passed(tmp_path: Path) -> None:
    """Its exit code reaches the table, whatever kind of error ended it."""
    asked = command("no-such-scenario", tmp_path, ())
    with asked.log.open("w") as log:
        ended = subprocess.run(asked.argv, stdout=log, stderr=log, cwd=tmp_path, check=False)
    (outcome,) = played(Ended(asked, ended.returncode, 1.0), tmp_path)
    assert outcome.cells[1] == "could not run"
    assert "no-such-scenario" in outcome.why


def test_runs_of_a_table_render_no_page_unless_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Evidently's take seconds of the processor each; who sets the variable has the last word."""
    name = "TESTBED_DRIFT_HTML"
    for own, rendered in ((None, "never"), ("on_change", "on_change")):
        monkeypatch.delenv(name, raising=False)
        if own is not None:
            monkeypatch.setenv(name, own)
        for made in (command("a", tmp_path, ()), group_command(["a", "b"], tmp_path, ())):
            ended: list[Ended] = []
            run_side_by_side([replace(made, argv=("printenv", name))], 1, ended.append)
            assert (ended[0].code, made.log.read_text().strip()) == (0, rendered)


def test_scenarios_of_one_stack_are_told_apart(tmp_path: Path) -> None:
    """Each has its own outcome; one that was not reached could not run, and says why not."""
    asked = group_command(["a", "b", "c"], tmp_path, ["--seed", "2"])
    assert asked.argv[-7:] == ("a", "b", "c", "--out", str(tmp_path), "--seed", "2")
    asked.log.write_text("stack: starting\ntestbed: prometheus ended\n")
    (tmp_path / "a").mkdir()
    checks = [{"passed": False, "stage": "rule", "summary": "never fired"}]
    (tmp_path / "a" / "verdict.json").write_text(json.dumps({"checks": checks}))
    lines = [
        {"name": "a", "code": 1, "seconds": 60.0, "why": ""},
        {"name": "b", "code": 2, "seconds": 3.0, "why": "no free port"},
    ]
    (tmp_path / GROUP_FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    rows = [each.cells for each in played(Ended(asked, 130, 70.0), tmp_path)]
    assert rows == [
        ("a", "failed", "60 s", "0 of 1", "rule: never fired"),
        ("b", "could not run", "3 s", "", "no free port"),
        ("c", "could not run", "0 s", "", "testbed: prometheus ended"),
    ]


def test_scenarios_that_need_the_same_stack_are_played_on_one(tmp_path: Path) -> None:
    """Those with faults of processes never; another time scale changes nothing of that."""
    names = ["concept-drift", "collector-restart", "normal", "label-shift", "queue-full"]
    groups = grouped(names, RunOptions(time_scale=60), Settings(home=tmp_path))
    assert groups == (
        ("concept-drift", "label-shift"),
        *(("collector-restart",), ("normal",), ("queue-full",)),
    )


def test_the_table_is_aligned() -> None:
    """One line per run below its headings."""
    table = list(
        lines(
            [
                PlayedScenario("normal", 0, 61.7, "25 of 25"),
                PlayedScenario("demo", 2, 3.0, "", "no"),
            ]
        )
    )
    assert table == [
        "scenario  outcome        took  checks    why",
        "normal    passed         62 s  25 of 25",
        "demo      could not run  3 s             no",
    ]


def test_no_stack_at_a_time_plays_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be waited for without an end."""
    with pytest.raises(SystemExit, match="2"):
        main(["--jobs", "0"])
    assert "--jobs must be at least 1, not 0" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_ended_early_ends_its_runs(tmp_path: Path) -> None:
    """One line says so, and no run goes on behind it."""
    argv = [sys.executable, "-m", "testbed.playall", "normal", "--out", str(tmp_path / "out")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert "scenarios: 1, stacks: 1" in process.stdout.readline()
        whole = psutil.Process(process.pid)
        wait_for(whole.children)
        runs = whole.children()
        process.terminate()
        assert process.wait(PATIENCE) == 130
        assert "interrupted" in process.stdout.read()
    assert len(runs) == 1
    assert not runs[0].is_running()
