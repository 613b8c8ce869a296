"""Assertions on the load, notifications, the drift job, logs and traces: fields and verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from pydantic import ValidationError
from testbed.assertedneeds import refuse_unmet
from testbed.assertions.log import LogAssertion
from testbed.assertions.trace import TraceAssertion
from testbed.checks import CHECKS
from testbed.checks.assertions import check_assertions
from testbed.checks.case import Case
from testbed.checks.results import CheckResult
from testbed.errors import UsageError
from testbed.facts.assertedsignals import AssertedLog, AssertedTrace, find_trees, search
from testbed.records import DriftRun
from testbed.report.junit import junit_xml
from testbed.report.page import render_page
from testbed.scenario import Scenario
from testbed_domain.registry import Registry

from testbed import verdict as verdict_module

from .conftest import ALERT, FACTOR, SCENARIO, World

if TYPE_CHECKING:
    from pathlib import Path

Fields = dict[str, Any]


def scenario(*assertions: Fields, **changes: object) -> Scenario:
    """The world's scenario with assertions, all named in order of the alphabet."""
    named = [{"name": "abc"[place], **each} for place, each in enumerate(assertions)]
    return Scenario.model_validate({**SCENARIO, **changes, "assertions": named})


def result(world: World, fields: Fields, **snapshot: object) -> CheckResult:
    """What becomes of one assertion."""
    evidence = world.evidence()
    evidence = replace(evidence, snapshot=evidence.snapshot.model_copy(update=snapshot))
    (found,) = check_assertions(Case(scenario(fields, logs=True), evidence, FACTOR))
    return found


@pytest.mark.parametrize(
    ("fields", "passed", "words"),
    [
        ({"objective": 0.8}, True, "80.0000% of 500 are good, 100% of the error budget"),
        ({"objective": 0.9}, False, "200% of the error budget is consumed"),
        ({"objective": 0.9, "budget": 2}, True, "200% of the error budget is consumed"),
        ({"objective": 0.8, "budget": 0.5}, False, "with at most 50% of the budget"),
        ({"objective": 0.999, "phase": "normal"}, True, "0% of the error budget"),
        ({"objective": 0.999, "phase": "burst"}, False, "50.0000% of 200 are good"),
        ({"objective": 0.999, "phase": "burst", "after": "9m"}, False, "of 20 are good"),
        ({"objective": 0.8, "latency": 0.005}, False, "0.0000% of 500 are good"),
        ({"objective": 0.8, "latency": 0.02}, True, "within 0.02 s"),
        ({"objective": 0.999, "good_statuses": ["2xx", "500"]}, True, "100.0000% of 500"),
    ],
)
def test_an_objective_is_held_against_each_request(
    *, world: World, fields: Fields, passed: bool, words: str
) -> None:
    """By status and latency, in a phase or all along, with what is consumed of the budget."""
    found = result(world, {"kind": "slo", **fields})
    assert (found.passed, found.name) == (passed, "timed assertion a")
    assert words in found.summary


def test_latency_counts_from_when_a_request_was_due(world: World) -> None:
    """A load that falls behind hides no slowness; what it never sent is not good."""
    world.requests[0] = replace(world.requests[0], scheduled_at=998.0)
    slow = {"kind": "requests", "p99": 1.5}
    assert result(world, slow).passed
    world.requests[:6] = [replace(each, scheduled_at=998.0) for each in world.requests[:6]]
    assert "p99 is 2.011" in result(world, slow).summary
    evidence = world.evidence()
    lacking = replace(evidence.truth, requests=evidence.truth.requests[:95], missed=5)
    case = Case(
        scenario({"kind": "slo", "objective": 0.999, "phase": "normal"}),
        replace(evidence, truth=lacking),
        FACTOR,
    )
    (found,) = check_assertions(case)
    assert "95.0000% of 100 are good" in found.summary
    assert found.details == ("5 never sent",)


@pytest.mark.parametrize(
    ("fields", "passed", "words"),
    [
        ({"p50": 0.012, "p95": 0.012, "error_ratio": 0.2}, True, "20.000% are errors"),
        ({"error_ratio": 0.1, "phase": "burst"}, False, "50.000% are errors"),
        ({"error_ratio": 0, "phase": "normal"}, True, "errors at most 0% in normal"),
        ({"p95": 0.001}, False, "p95 is 0.011 s"),
    ],
)
def test_bounds_of_a_phase_are_held_against_the_truth(
    *, world: World, fields: Fields, passed: bool, words: str
) -> None:
    """Percentiles and errors, as the load saw them."""
    found = result(world, {"kind": "requests", **fields})
    assert found.passed is passed
    assert words in found.summary


def test_alerts_come_in_an_order(world: World) -> None:
    """By their first notifications; one that never came breaks it."""
    order = {"kind": "order", "notified": [ALERT, "ModelNotLoaded"]}
    assert "ModelNotLoaded was never notified" in result(world, order).summary
    world.notify("ModelNotLoaded", 1016.5)
    world.notifications.sort(key=lambda each: each.received_at)
    found = result(world, order)
    assert not found.passed
    assert f"{ALERT} was notified 0.5 s after ModelNotLoaded" in found.summary
    assert result(world, {**order, "notified": ["ModelNotLoaded", ALERT]}).passed


@pytest.mark.parametrize(
    ("fields", "passed", "words"),
    [
        ({"decision": "RETRAIN"}, True, "RETRAIN in 3 runs"),
        ({"decision": "NO_ACTION", "phase": "normal"}, True, "NO_ACTION in 1 runs"),
        ({"decision": ["ALERT", "RETRAIN"], "phase": "burst"}, True, "ALERT or RETRAIN"),
        ({"decision": "RETRAIN", "phase": "burst"}, False, "lacking the decision; ALERT in 1"),
        ({"drifted": ["bmi"], "phase": "recovery"}, True, "drifted: bmi"),
        ({"drifted": ["bmi", "age"]}, False, "lacking age"),
        ({"causes": ["columns", "concept"]}, False, "lacking concept"),
    ],
)
def test_the_drift_job_decides_in_a_phase(
    *, world: World, fields: Fields, passed: bool, words: str
) -> None:
    """The most severe decision, what it stands on and what it names; settling is of the last."""
    world.drift_runs = [
        DriftRun(1005.0, "success", "NO_ACTION"),
        DriftRun(1020.0, "success", "ALERT", causes=("columns",)),
        DriftRun(1058.0, "success", "RETRAIN", drifted=("bmi",), causes=("columns",)),
    ]
    found = result(world, {"kind": "drift", **fields})
    assert found.passed is passed
    assert words in found.summary


def test_a_job_that_never_decided_shows_nothing(world: World) -> None:
    """No data is no proof."""
    world.drift_runs = [DriftRun(1040.0, "insufficient_data")]
    found = result(world, {"kind": "drift", "decision": "NO_ACTION"})
    assert "no run of the drift job came to a decision" in found.summary
    assert not found.passed


LINES = ["starting\n", "password=hunter2 refused\n", "ended\n"]


@pytest.mark.parametrize(
    ("fields", "passed", "words"),
    [
        ({"matches": "^start"}, True, "1 of 3 match"),
        ({"matches": "Traceback"}, False, "0 of 3 match"),
        ({"matches": "Traceback", "absent": True}, True, "no line of the log of api"),
        ({"matches": "refused$", "absent": True}, False, "1 of 3 match"),
    ],
)
def test_a_log_is_searched(*, world: World, fields: Fields, passed: bool, words: str) -> None:
    """Some line must match, or none; what is quoted of it shows no secret."""
    asserted = LogAssertion.model_validate(
        {"kind": "log", "name": "a", "component": "api", **fields}
    )
    answer = search(asserted, LINES)
    found = result(world, {**asserted.model_dump()}, asserted_logs=(answer,))
    assert found.passed is passed
    assert words in found.summary
    assert "hunter2" not in "".join(found.details)


def test_what_was_not_read_does_not_pass(world: World) -> None:
    """Neither that something is there, nor that it is absent."""
    log = {"kind": "log", "component": "api", "matches": "x", "absent": True}
    tree = {"kind": "trace", "tree": {"name": "POST /predict"}}
    assert "was not read" in result(world, log).summary
    gone = AssertedLog(name="a", problem="api.log: No such file")
    assert "No such file" in result(world, log, asserted_logs=(gone,)).summary
    assert "no spans were read" in result(world, tree).summary


def span(number: int, parent: int, name: str, **attributes: object) -> Fields:
    """A span of one trace, as the receiver writes it."""
    return {
        "trace_id": "t1",
        "span_id": str(number),
        "parent_id": str(parent) if parent else "",
        "name": name,
        "status": "UNSET",
        "attributes": attributes,
    }


SPANS = [
    span(1, 0, "POST /predict", status=200),
    span(2, 1, "inference", rows=1),
    span(3, 1, "log", rows=1, durable=True),
]


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ({"name": "POST /predict"}, 1),
        ({"name": "POST /predict", "attributes": {"status": 200}}, 1),
        ({"name": "POST /predict", "attributes": {"status": "200"}}, 0),
        ({"name": "POST /predict", "status": "ERROR"}, 0),
        ({"name": "POST /predict", "children": [{"name": "log"}, {"name": "inference"}]}, 1),
        ({"name": "POST /predict", "children": [{"name": "log"}, {"name": "log"}]}, 0),
        ({"name": "inference", "children": [{"name": "log"}]}, 0),
        ({"name": "log", "attributes": {"durable": True}}, 1),
        ({"name": "log", "attributes": {"durable": 1}}, 0),
        ({"name": "log", "attributes": {"rows": True}}, 0),
    ],
)
def test_a_tree_of_spans_is_found(tree: Fields, count: int) -> None:
    """By names, parents, attributes and status; each pattern has a span of its own."""
    asserted = TraceAssertion.model_validate({"name": "a", "tree": tree})
    assert find_trees(asserted, SPANS, SPANS).count == count


def test_a_tree_that_is_not_there_says_which_spans_are(world: World) -> None:
    """So that a misspelt name is seen."""
    asserted = TraceAssertion.model_validate({"name": "a", "tree": {"name": "infer"}})
    answer = find_trees(asserted, SPANS, SPANS)
    found = result(world, asserted.model_dump(), asserted_traces=(answer,))
    assert not found.passed
    assert "no span is named 'infer'" in found.summary
    assert found.details == ("spans: POST /predict (1), inference (1), log (1)",)
    there = AssertedTrace(name="a", count=2, example="t1")
    assert (
        "2 do, such as t1" in result(world, asserted.model_dump(), asserted_traces=(there,)).summary
    )


def test_a_warning_changes_the_score_and_nothing_else(world: World) -> None:
    """It is shown wherever the verdict is; the weights give the points."""
    world.scenario["assertions"] = [
        {"kind": "requests", "name": "fast", "p95": 0.001, "severity": "warn", "weight": 3},
        {"kind": "requests", "name": "up", "error_ratio": 0.5},
    ]
    verdict = world.evaluate()
    assert verdict.passed
    assert verdict.exit_code == 0
    assert [check.name for check in verdict.warned] == ["timed assertion fast"]
    assert verdict.lines()[1:] == (
        "warning: timed assertion fast: p95 at most 0.001 s: p95 is 0.011 s",
        "assertions: 1 of 4 points (25%)",
    )
    assert "1 only warned" in verdict.score
    suite = ET.fromstring(junit_xml(verdict))  # noqa: S314 - written here
    (case,) = suite.findall(".//testcase[@name='timed assertion fast']")
    assert case.find("failure") is None
    assert "warning: p95" in (case.findtext("system-err") or "")
    page = render_page(verdict, world.evidence())
    assert "Assertions: 1 of 4 points (25%)." in page
    assert "! warned" in page
    world.scenario["assertions"][0]["severity"] = "fail"
    assert world.evaluate().exit_code == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "slow"}, "slow"),
        ({"kind": "slo", "objective": 1}, "less than 1"),
        ({"kind": "slo", "objective": 0.9, "good_statuses": ["2x"]}, "good_statuses"),
        ({"kind": "slo", "objective": 0.9, "weight": 0}, "weight"),
        ({"kind": "slo", "objective": 0.9, "phase": "brust"}, "names the phase 'brust'"),
        ({"kind": "requests"}, "give at least one of p50"),
        ({"kind": "requests", "p96": 1}, "p96"),
        ({"kind": "requests", "p95": 1, "severity": "error"}, "severity"),
        ({"kind": "order", "notified": [ALERT]}, "at least 2"),
        ({"kind": "order", "notified": [ALERT, ALERT]}, "name each once"),
        ({"kind": "drift"}, "give at least one of decision"),
        ({"kind": "drift", "decision": "RETRIAN"}, "RETRAIN"),
        ({"kind": "drift", "causes": ["column"]}, "causes"),
        ({"kind": "log", "component": "apis", "matches": "x"}, "component"),
        ({"kind": "log", "component": "api", "matches": "("}, "not a regular expression"),
        ({"kind": "log", "component": "api", "matches": "x", "phase": "burst"}, "have no phase"),
        (
            {"kind": "log", "component": "load", "matches": "x", "source": "records"},
            "only api, drift export",
        ),
        (
            {"kind": "log", "component": "api", "matches": "x", "source": "records"},
            "must say logs: true",
        ),
        ({"kind": "trace", "tree": {"nam": "x"}}, "nam"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_file(fields: Fields, message: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match=message):
        scenario(fields)


def test_what_no_run_could_show_is_refused_before_it(tmp_path: Path) -> None:
    """An alert without a rule, a component that is left out, a log out of reach."""
    rule = "groups: [{name: g, rules: [{alert: HighErrorRate, expr: up}]}]"
    (tmp_path / "mine.yml").write_text(rule)
    order = scenario({"kind": "order", "notified": [ALERT, "HighErorRate"]})
    with pytest.raises(UsageError, match="HighErorRate; did you mean HighErrorRate"):
        refuse_unmet(order, tmp_path, ())
    decided = scenario({"kind": "drift", "decision": "ALERT"})
    with pytest.raises(UsageError, match="needs drift, which this run leaves out"):
        refuse_unmet(decided, tmp_path, {"drift"})
    log = scenario({"kind": "log", "component": "api", "matches": "x"})
    with pytest.raises(UsageError, match="take source: records"):
        refuse_unmet(log, tmp_path, (), log_files=False)
    for fine in (decided, log, scenario({"kind": "slo", "objective": 0.9})):
        refuse_unmet(fine, tmp_path, ())


def test_columns_of_an_assertion_are_columns_of_the_scenario() -> None:
    """So that a use case that lacks one is refused."""
    assert scenario({"kind": "drift", "drifted": ["BMI"]}).columns == ("BMI",)


CHECK = """
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage

def check_nights(case):
    late = case.evidence.snapshot.started_at > 1000
    return (CheckResult(name="nights", passed=not late, stage=Stage.LOAD, summary="by day"),)
"""


def test_a_check_of_a_package_decides_on_the_verdict(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry point is all that it takes; it can fail a run."""
    (tmp_path / "night_checks.py").write_text(CHECK)
    info = tmp_path / "nights-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nights\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[testbed.checks]\nnights = night_checks:check_nights\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    fresh = Registry("testbed.checks", "testbed.checks", CHECKS._name_of)
    monkeypatch.setattr(verdict_module, "CHECKS", fresh)
    verdict = world.evaluate()
    assert [check.name for check in verdict.checks] == ["nights"]
    assert verdict.passed
    evidence = world.evidence()
    late = evidence.snapshot.model_copy(update={"started_at": 2000.0})
    case = Scenario.model_validate(world.scenario)
    assert not verdict_module.evaluate(case, replace(evidence, snapshot=late), FACTOR).passed
