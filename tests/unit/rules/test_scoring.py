"""Outcomes, margins and mutants against what a scenario expects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from testbed_rules.conditions import read_condition
from testbed_rules.limits import extremes, limits_of, passing_limits
from testbed_rules.mutants import mutants
from testbed_rules.outcomes import AlertContract, AlertExpectation, broken_by
from testbed_rules.replay import ReplayedFiring, RuleTiming
from testbed_rules.scoring import ReplayedPhases, score

from tests.unit.rules.conftest import line, times

# One evaluation a second; the fault lasts from 10 to 20.
EXPECTED = AlertExpectation("burst", 10.0, 20.0, float("inf"), within=8.0, resolves_within=10.0)
CONTRACT = AlertContract((EXPECTED,), group_wait=1.0, group_interval=5.0)


def fires(start: float, end: float | None) -> ReplayedFiring:
    """One firing."""
    return ReplayedFiring(frozenset(), start, start, end)


@pytest.mark.parametrize(
    ("firings", "fault"),
    [
        ([fires(12, 22)], None),
        ([], "does not fire in burst"),
        ([fires(5, 7), fires(12, 22)], "fires unexpectedly"),
        ([fires(17.5, 22)], "fires too late in burst"),
        ([fires(12, None)], "does not resolve after burst"),
        ([fires(12, 29)], "resolves too late after burst"),
        ([fires(12, 28)], None),
    ],
)
def test_what_breaks_a_contract(firings: list[ReplayedFiring], fault: str | None) -> None:
    """Notifications leave group_wait after the first, and at each group_interval after that."""
    assert broken_by(firings, CONTRACT) == fault


def test_what_is_allowed_breaks_nothing() -> None:
    """And what is not expected must be silent."""
    assert broken_by([fires(3, 4)], AlertContract(allowed=True)) is None
    assert broken_by([fires(3, 4)], AlertContract()) == "fires unexpectedly"
    assert broken_by([], AlertContract()) is None


def test_labels_report_expected_alerts_of_one_name_apart() -> None:
    """What bears others is unexpected, whenever it fires."""
    contract = replace(CONTRACT, expected=(replace(EXPECTED, labels=frozenset({("cause", "a")})),))
    mine = replace(fires(12, 22), labels=frozenset({("cause", "a"), ("job", "x")}))
    other = replace(fires(12, 22), labels=frozenset({("cause", "b")}))
    assert broken_by([mine], contract) is None
    assert broken_by([mine, other], contract) == "fires unexpectedly"
    assert broken_by([other], replace(contract, allowed=True)) == "does not fire in burst"


def test_a_firing_bears_the_labels_of_its_rule() -> None:
    """They win over those of the series."""
    rule = replace(played("a > 2"), labels={"cause": "a", "job": "y"})
    assert rule.firings()[0].labels == {("cause", "a"), ("job", "y")}


def played(text: str, for_: float = 2.0) -> ReplayedPhases:
    """A rule on a value that is 1, from 10 to 20 is 5, and on one whose label is alone."""
    condition, timing = read_condition(text), RuleTiming(for_)
    values = [5.0 if 10 <= at < 20 else 1.0 for at in range(40)]
    answers = {"a{}": (line(*values, job="x"),), 'a{job="x"}': (line(*values, job="x"),)}
    return ReplayedPhases(condition, timing, times(40), answers, mutants(condition, timing))


def test_mutants_that_would_pass_survive() -> None:
    """Killed is what would fire in quiet, or not at all; what no data can show counts not."""
    found = score(played('a{job="x"} > 2'), (), CONTRACT)
    killed = {mutant.text: fault for mutant, fault in found.killed}
    assert killed["limit \u00f7 10"] == "fires unexpectedly"
    assert killed["limit \u00d7 10"] == "does not fire in burst"
    assert killed["`for` \u00d7 10"] == "does not fire in burst"
    survivors = {mutant.text for mutant in found.survivors}
    assert {"limit \u00d7 2", "limit \u00f7 2", "`for` removed"} <= survivors
    assert found.alike == 2  # the matcher dropped, and >= for >


def test_another_rule_of_the_alert_covers_for_a_mutant() -> None:
    """The scenario expects the alert, whichever of its rules fires."""
    alone = score(played("a > 2"), (), CONTRACT)
    covered = score(played("a > 2"), (fires(13, 22),), CONTRACT)
    assert len(covered.survivors) > len(alone.survivors)


def test_a_mutant_that_prometheus_refuses_counts_not() -> None:
    """It could not stay unnoticed."""
    rule = played('a{job="x"} > 2')
    broken = 'a{job="xx"}'
    assert broken not in rule.answers
    total = score(rule, (), CONTRACT)
    answered = replace(rule, answers={**rule.answers, broken: ()})
    assert len(score(answered, (), CONTRACT).killed) == len(total.killed) + 1


def test_the_value_nearest_to_firing() -> None:
    """A peak counts only as long as it lasts."""
    rule = played("a > 2")
    (compare,) = limits_of(rule)
    lone = replace(rule, answers={"a{}": (line(*[9.0 if at == 4 else 1.0 for at in range(40)]),)})
    assert extremes(rule, compare, [(10, 20)]).held == 5.0
    assert extremes(lone, compare, [(0, 9)]).peak == 9.0
    assert extremes(lone, compare, [(0, 9)]).held == 1.0
    assert extremes(rule, compare, [(50, 60)]).held is None
    below = played("a < 0.5")
    (compare,) = limits_of(below)
    assert extremes(below, compare, [(0, 40)]).peak == 1.0


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("a > 2", 1.0, 5.0), ("a >= 2", 1.0, 5.0), ("0 - a < -2", -5.0, -1.0)],
)
def test_the_limits_that_would_pass(text: str, low: float, high: float) -> None:
    """From the highest quiet value to the highest that held in the fault."""
    values = np.array([5.0 if 10 <= at < 20 else 1.0 for at in range(40)])
    condition = read_condition(text)
    answers = {"a{}": (line(*values),), "0 - a{}": (line(*-values),)}
    rule = ReplayedPhases(condition, RuleTiming(2.0), times(40), answers)
    found = passing_limits(rule, limits_of(rule)[0], (), CONTRACT)
    assert (found.low, found.high) == (low, high)


def test_no_limit_is_too_low_where_nothing_is_ever_quiet() -> None:
    """A series that is there in the fault only has no lower bound of its own."""
    nan = float("nan")
    rule = ReplayedPhases(
        read_condition("a > 2"), RuleTiming(2.0), times(40),
        {"a{}": (line(*[5.0 if 10 <= at < 20 else nan for at in range(40)]),)},
    )  # fmt: skip
    found = passing_limits(rule, limits_of(rule)[0], (), CONTRACT)
    assert (found.low, found.high) == (None, 5.0)
