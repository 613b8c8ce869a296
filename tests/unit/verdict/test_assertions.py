"""What a scenario asserts in PromQL: fields, questions, and what the verdict makes of answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from testbed.assertions.promql import PromqlAssertion
from testbed.checks.assertions import check_assertions
from testbed.checks.case import Case
from testbed.checks.results import CheckResult
from testbed.facts.asserted import AssertedQuery, AssertedSeries, as_in_production
from testbed.scenario import Scenario

from .conftest import FACTOR, SCENARIO, World

START, STEP = 1010.0, 0.5


def asked(*values: float | None, labels: str = "up", **changes: Any) -> AssertedQuery:  # noqa: ANN401 - fields
    """Answers of one series, a value each half second."""
    points = tuple((START + STEP * place, value) for place, value in enumerate(values))
    query = AssertedQuery(
        name="mine",
        query="up[2s]",
        start=START,
        end=START + STEP * (len(values) - 1),
        step=STEP,
        series=(AssertedSeries(labels=labels, points=points),),
    )
    return query.model_copy(update=changes)


def judged(world: World, answer: AssertedQuery | None, **fields: Any) -> CheckResult:  # noqa: ANN401 - of a scenario
    """The one result of an assertion with these fields."""
    assertion = {"name": "mine", "promql": "up", **fields}
    scenario = Scenario.model_validate({**SCENARIO, "assertions": [assertion]})
    evidence = world.evidence()
    snapshot = evidence.snapshot.model_copy(
        update={"asserted": None if answer is None else (answer,)}
    )
    (result,) = check_assertions(Case(scenario, replace(evidence, snapshot=snapshot), FACTOR))
    return result


@pytest.mark.parametrize(
    ("fields", "values", "passed", "words"),
    [
        ({"max": 2}, (1.0, 2.0), True, "is at most 2 throughout"),
        ({"max": 2}, (1.0, 3.0, 1.0, 4.0), False, "is 3 after 0.5 s, and so at 2 of 4"),
        ({"max": 2}, (1.0, None), False, "is no number after 0.5 s"),
        ({"min": 1, "max": 2}, (0.5,), False, "must be from 1 to 2 throughout: up is 0.5"),
        ({"min": 3, "when": "once"}, (1.0, 3.0), True, "is at least 3 at least once"),
        ({"min": 3, "when": "once"}, (1.0, 2.0), False, "up never is"),
        ({"min": 3, "when": "at_end"}, (1.0, 3.0), True, "is at least 3 at the end"),
        ({"min": 3, "when": "at_end"}, (3.0, 1.0), False, "up is 1 at the end"),
        ({"absent": True}, (1.0,), False, "up is there, first 0.0 s on"),
        ({"absent": True, "when": "once"}, (1.0, 1.0), False, "is there"),
    ],
)
def test_values_are_held_against_the_bounds(
    *, world: World, fields: dict[str, Any], values: tuple[float, ...], passed: bool, words: str
) -> None:
    """Throughout, once, at the end; the reason names series, value and time."""
    result = judged(world, asked(*values), **fields)
    assert (result.passed, result.name) == (passed, "assertion mine")
    assert words in result.summary
    assert result.details == (() if passed else ("query: up[2s]",))


def test_what_is_said_of_the_bundled_api_is_not_asked_of_a_service(world: World) -> None:
    """By name, and neither passed nor failed; of the API it is."""
    failed = judged(world, asked(3.0), max=2, of_bundled_api=True)
    assert (failed.applicable, failed.passed) == (True, False)
    world.run["service"] = "shop"
    result = judged(world, asked(3.0), max=2, of_bundled_api=True)
    assert not result.applicable
    assert "about the bundled API, and the service shop was tested" in result.summary
    assert not judged(world, asked(3.0), max=2).passed


def test_each_series_counts(world: World) -> None:
    """One that breaks is named; those that hold are not."""
    answer = asked(1.0, labels="up{job='a'}")
    other = AssertedSeries(labels="up{job='b'}", points=((START, 5.0),))
    result = judged(world, answer.model_copy(update={"series": (*answer.series, other)}), max=2)
    assert "up{job='b'} is 5" in result.summary
    assert "job='a'" not in result.summary


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (asked(1.0, series=()), "the query gives no series"),
        (asked(1.0, problem="Prometheus is gone"), "Prometheus is gone"),
        (asked(1.0, dropped=3), "3 more series were not looked at"),
        (asked(1.0, end=START + 2.0), "has no value at 4 of 5 evaluations"),
        (None, "its query was not asked"),
    ],
)
def test_what_was_not_seen_does_not_pass(
    world: World, answer: AssertedQuery | None, words: str
) -> None:
    """No data is no proof."""
    result = judged(world, answer, max=2)
    assert not result.passed
    assert words in result.summary


def test_nothing_is_absent_where_no_series_came(world: World) -> None:
    """And once, where it was away for a while."""
    assert judged(world, asked(1.0, series=()), absent=True).passed
    away = asked(1.0, end=START + 2.0)
    assert judged(world, away, absent=True, when="once").passed
    assert judged(world, away, absent=True, when="at_end").passed


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give min, max or both, or absent alone"),
        ({"max": 1, "absent": True}, "give min, max or both, or absent alone"),
        ({"min": 2, "max": 1}, "min is larger than max"),
        ({"max": 1, "promql": "sum("}, "promql"),
        ({"max": 1, "when": "often"}, "when"),
    ],
)
def test_an_assertion_that_says_nothing_is_refused(fields: dict[str, Any], message: str) -> None:
    """When the file is read, not after the run."""
    with pytest.raises(ValidationError, match=message):
        PromqlAssertion.model_validate({"name": "mine", "promql": "up", **fields})


@pytest.mark.parametrize(
    ("assertions", "message"),
    [
        ([{"name": "a", "promql": "up", "max": 1}] * 2, "names of assertions must differ"),
        ([{"name": "a", "promql": "up", "max": 1, "phase": "x"}], "names the phase 'x'"),
    ],
)
def test_a_scenario_refuses_assertions_that_contradict(
    assertions: list[dict[str, Any]], message: str
) -> None:
    """Twice the same name, or a phase that is not there."""
    with pytest.raises(ValidationError, match=message):
        Scenario.model_validate({**SCENARIO, "assertions": assertions})


@pytest.mark.parametrize(
    ("promql", "query"),
    [
        ("sum(increase(a[5m]))", "(sum(increase(a[10s]))\n) * 30"),
        ("sum(rate(a[5m]))", "sum(rate(a[10s]))"),
        ("time() - a # old", "(time() - a # old\n) * 30"),
        ("1 / (time() - a)", "(1 / (time() - a)\n) * 0.0333333333333333"),
        ("count(increase(a[5m]) > 30)", "count(increase(a[10s]) > 30 / 30)"),
        ("job:errors:increase5m", "(job:errors:increase5m\n) * 30"),
    ],
)
def test_bounds_are_those_of_production(promql: str, query: str) -> None:
    """What counts over a range, or is a time, is given as it would be in production."""
    recorded = {"job:errors:increase5m": 1}
    assert as_in_production(promql, 30, recorded) == (query, "")
    assert as_in_production(promql, 1, recorded) == (promql, "")


def test_a_query_that_no_scale_suits_is_not_asked() -> None:
    """Its numbers would mean something else; at scale 1 they don't."""
    query, problem = as_in_production("sum(changes(a[5m]) > bool 2)", 30, {})
    assert "changes counts events" in problem
    assert query
    assert as_in_production("sum(changes(a[5m]) > bool 2)", 1, {})[1] == ""


def test_the_end_is_the_last_millisecond(world: World) -> None:
    """Prometheus answers with whole milliseconds, phases end between them."""
    answer = asked(1.0, 3.0)
    answer = answer.model_copy(update={"end": answer.end + 0.0009})
    assert judged(world, answer, min=2, when="at_end").passed
    assert not judged(world, answer, max=2, when="at_end").passed
    assert not judged(world, answer, absent=True, when="at_end").passed
