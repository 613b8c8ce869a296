"""Limits, the drift decision, integrity, and the verdict itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import jsonschema
import pytest
from testbed.records import DriftRun, StoredEvent
from testbed.schemas import main
from testbed.verdict import Verdict

from tests.support.schemas import schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.verdict.conftest import World


def test_too_many_errors_fail(world: World) -> None:
    """100 of 500 are a fifth."""
    world.scenario["limits"] = {"error_ratio": 0.19}
    assert world.failed() == {
        "limit error_ratio": "share answered 5xx or not at all: 0.2, at most 0.19"
    }


def test_unanswered_requests_count_as_errors(world: World) -> None:
    """No answer is no service."""
    world.scenario["limits"] = {"error_ratio": 0.2}
    world.requests.append(replace(world.requests[0], status=None, error="connection"))
    assert "limit error_ratio" in world.failed()


def test_slow_answers_fail_without_the_time_scale(world: World) -> None:
    """Latency limits are real seconds."""
    world.requests = [replace(r, finished_at=r.sent_at + 1.5) for r in world.requests]
    assert list(world.failed()) == ["limit p95_seconds"]


def test_load_that_was_never_sent_fails(world: World) -> None:
    """A load generator that can't keep up must not look like a healthy service."""
    world.scenario["phases"][0]["rate"] = 30
    assert list(world.failed()) == ["limit load_ratio"]


def test_load_that_was_sent_late_fails(world: World) -> None:
    """Requests that waited for their turn in the load are overload too, and their wait latency."""
    world.requests = [
        replace(r, sent_at=r.sent_at + 2, finished_at=r.finished_at + 2) for r in world.requests
    ]
    assert set(world.failed()) == {"limit load_lag", "limit p95_seconds"}


@pytest.mark.parametrize(
    ("free", "fails"),
    [
        (1.999, False),  # all users awaited answers: the latency says so, no other link
        (0.5, True),
        (None, True),  # the first of its user, who did nothing until then
    ],
)
def test_what_waited_for_a_user_is_not_sent_late_by_the_load(
    world: World,
    free: float | None,
    fails: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The load's lateness begins when a user was free for the request."""
    world.scenario["limits"] = {"p95_seconds": 10}
    world.requests = [
        replace(
            request,
            sent_at=request.scheduled_at + 2.0,
            finished_at=request.scheduled_at + 3.0,
            free_at=None if free is None else request.scheduled_at + free,
        )
        for request in world.requests
    ]
    assert ("limit load_lag" in world.failed()) is fails


def test_a_run_without_requests_fails_everywhere_it_must(world: World) -> None:
    """Nothing measured is nothing shown."""
    world.requests.clear()
    failed = world.failed()
    assert "nothing could be measured" in failed["limit p95_seconds"]
    assert "truth" in failed


@pytest.mark.parametrize(
    ("decisions", "expected", "passes"),
    [
        (["NO_ACTION", "ALERT", "NO_ACTION"], ["ALERT", "RETRAIN"], True),
        (["NO_ACTION", "RETRAIN"], ["ALERT", "RETRAIN"], True),
        (["NO_ACTION", "NO_ACTION"], ["ALERT", "RETRAIN"], False),
        (["NO_ACTION", "ALERT", "NO_ACTION"], ["NO_ACTION"], False),
        (["ALERT", "RETRAIN"], ["ALERT"], False),
        (["NO_ACTION"], ["NO_ACTION"], True),
    ],
)
def test_the_most_severe_decision_counts(
    world: World, decisions: list[str], expected: list[str], *, passes: bool
) -> None:
    """So NO_ACTION must hold in every run."""
    world.scenario["expected_decision"] = expected
    world.drift_runs = [DriftRun(1040.0 + n, "success", d) for n, d in enumerate(decisions)]
    assert world.evaluate().passed is passes


@pytest.mark.parametrize(
    ("reported", "expected", "allowed", "fault"),
    [
        (["concept"], ["concept"], [], None),
        (["concept", "relations"], ["concept"], None, None),
        (["concept", "relations"], ["concept"], ["relations"], None),
        (["relations"], ["concept"], None, "never stood on: concept"),
        ([], ["concept"], [], "never stood on: concept"),
        (["columns", "concept"], ["concept"], [], "must not stand on: columns"),
        (["columns"], [], [], "must not stand on: columns"),
    ],
)
def test_decisions_stand_on_what_moved(
    world: World,
    reported: list[str],
    expected: list[str],
    allowed: list[str] | None,
    fault: str | None,
) -> None:
    """What is expected is reported in some run, what is neither expected nor allowed in none."""
    world.scenario |= {"expected_causes": expected, "allowed_causes": allowed}
    runs = [
        DriftRun(1040.0 + n, "success", "NO_ACTION", causes=(c,)) for n, c in enumerate(reported)
    ]
    world.drift_runs += runs
    verdict = world.evaluate()
    assert verdict.passed is (fault is None)
    if fault:
        assert fault in world.failed()["drift causes"]


@pytest.mark.parametrize(
    ("runs", "without", "reason"),
    [
        ([], ("drift",), "without drift, the drift job"),
        ([], (), "the drift job never ran"),
        (
            [DriftRun(1040.0, "insufficient_data")] * 2,
            (),
            "never had enough rows in its 2 runs",
        ),
    ],
)
def test_reasons_for_no_decision_are_distinguished(
    world: World, runs: list[DriftRun], without: tuple[str, ...], reason: str
) -> None:
    """Left out, never run, and not enough data are different faults."""
    world.drift_runs, world.without = runs, without
    assert reason in world.failed()["drift decision"]


def test_a_run_of_the_drift_job_that_errs_fails(world: World) -> None:
    """Even if another run decided as expected."""
    world.drift_runs.append(DriftRun(1045.0, "error", reasons=("the log is locked",)))
    (check,) = world.evaluate().failed
    assert check.name == "drift job"
    assert check.details == ("the log is locked",)


def test_a_component_that_crashed_fails(world: World) -> None:
    """Its name and outcome are reported; a component that a fault stops has not crashed."""
    world.timeline.append(StoredEvent(1020.0, "component_stopped", "collector", {}))
    assert world.evaluate().passed
    world.timeline.append(
        StoredEvent(1021.0, "component_crashed", "api", {"outcome": "api ended by KILL"})
    )
    (check,) = world.evaluate().failed
    assert check.summary == "crashed: api"
    assert check.details == ("api: api ended by KILL",)


def test_gaps_in_the_truth_fail(world: World) -> None:
    """A verdict on half a truth is none."""
    world.truth_problems.append("requests.jsonl: 1 broken line")
    (check,) = world.evaluate().failed
    assert (check.name, check.details) == ("truth", ("requests.jsonl: 1 broken line",))


def test_evidence_that_could_not_be_had_fails(world: World) -> None:
    """Such as a Prometheus that no longer answers."""
    world.problems.append("rules: Prometheus does not answer")
    assert list(world.failed()) == ["evidence"]


def test_phases_come_from_the_truth_where_the_timeline_has_none(world: World) -> None:
    """The plan and the load's start are enough."""
    world.timeline.clear()
    phases = world.evaluate().phases
    assert [(p.name, p.start, p.end) for p in phases] == [
        ("normal", 1000.0, 1010.0),
        ("burst", 1010.0, 1030.0),
        ("recovery", 1030.0, 1050.0),
    ]


def test_plain_lines_report_the_outcome_and_every_reason(world: World) -> None:
    """For logs and for mail."""
    total = len(world.evaluate().checks)
    assert world.evaluate().lines() == (f"PASSED error-burst: {total} of {total} checks passed",)
    world.notify("HighLatency", 1015.0)
    lines = world.evaluate().lines()
    assert lines[0].startswith("FAILED error-burst")
    assert "  unexpected alerts: fired though not expected: HighLatency" in lines


def test_names_of_checks_are_unique(world: World) -> None:
    """They are the keys of the JUnit file."""
    names = [check.name for check in world.evaluate().checks]
    assert len(set(names)) == len(names)


def test_verdicts_fit_the_published_schema(world: World) -> None:
    """Passed or failed, with and without optional components."""
    schema = schema_of("verdict.schema.json")
    failing = world.evaluate()
    world.silence()
    world.log = None
    for verdict in (failing, world.evaluate()):
        document = json.loads(verdict.model_dump_json())
        schema.validate(document)
        assert Verdict.model_validate(document) == verdict


def test_scenarios_fit_the_published_schema(world: World) -> None:
    """Durations may be written as in Prometheus."""
    schema = schema_of("scenario.schema.json")
    schema.validate(world.scenario)
    with pytest.raises(jsonschema.ValidationError):
        schema.validate({**world.scenario, "phases": []})


def test_schemas_are_written_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--check`` names each file that differs and writes nothing."""
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0
    (tmp_path / "verdict.schema.json").write_text("{}")
    capsys.readouterr()
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "verdict.schema.json is not up to date; run: make generate\n"
    )
