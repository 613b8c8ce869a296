"""Margins: how near the run came to a limit, what survives, and whether the replay is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testbed.checks.margins import mutant_line
from testbed.checks.stages import Stage
from testbed.facts.marginmodels import LimitMargin, Margins, Replayed, RuleMargins
from testbed.pipeline import Export, Pipeline, Process
from testbed.records import StoredEvent
from testbed.snapshot import LoadedRule

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

ALERT = "HighErrorRate"
CHECK = "rule replay"
FIRING = (Replayed(labels={}, start=1015.0, end=1037.0),)


def rule(**changes: Any) -> RuleMargins:  # noqa: ANN401 - fields of the model
    """The margins of the world's rule; it fires from 1016 to 1036."""
    limit = LimitMargin(
        expression="errors", operator=">", limit=0.1, quiet_held=0.0,
        fault_peak={"burst": 6.0}, fault_held={"burst": 5.0},
        bounded=True, passes_from=0.0, passes_to=4.5,
    )  # fmt: skip
    fields = {
        "alert": ALERT, "group": "g", "expression": "errors > 0.1", "for_": 4.0, "interval": 0.5,
        "exercised": True, "limits": (limit,), "mutants": 10, "killed": 8,
        "survivors": ("limit \u00d7 2", "`for` removed"), "possible": FIRING,
        "certain": (Replayed(labels={}, start=1018.0, end=1034.0),),
    }  # fmt: skip
    return RuleMargins.model_validate(fields | changes)


def test_the_verdict_lists_what_it_proves(world: World) -> None:
    """Margins, the limits that would pass and the survivors; none of it fails."""
    world.margins = Margins(rules=(rule(),))
    verdict = world.evaluate()
    assert verdict.passed
    (row,) = verdict.rules
    assert (row.limits[0].quiet, row.limits[0].fault) == (0.0, 5.0)
    assert (row.limits[0].passes_from, row.limits[0].passes_to) == (0.0, 4.5)
    assert mutant_line(verdict.rules) == (
        "mutants: 8 of 10 killed; survivors of HighErrorRate: limit \u00d7 2, `for` removed"
    )


def test_mutants_of_silent_rules_are_not_in_the_line(world: World) -> None:
    """That they pass is no news: the run never needed them."""
    world.margins = Margins(rules=(rule(exercised=False, possible=FIRING),))
    assert not mutant_line(world.evaluate().rules)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"possible": ()}, "where its expression and `for` do not allow it"),
        (
            {"possible": (Replayed(labels={}, start=1015.0, end=1030.0),)},
            "fired from +21.0 s to +41.0 s",
        ),
        ({"certain": (Replayed(labels={"job": "x"}, start=1018.0, end=None),)}, "and did not"),
        ({"certain": (Replayed(labels={}, start=1018.0, end=1040.0),)}, "must have fired"),
    ],
)
def test_a_rule_that_prometheus_evaluated_otherwise(
    world: World, changes: dict[str, Any], words: str
) -> None:
    """As when it stood still, or was not the rule that is read."""
    world.margins = Margins(rules=(rule(**changes),))
    (check,) = world.evaluate().failed
    assert (check.name, check.stage) == (CHECK, Stage.RULE)
    assert words in check.summary


def test_edges_and_templated_labels_are_no_difference(world: World) -> None:
    """One or two evaluations, and labels whose value only Prometheus knows."""
    labels = {"severity": "warning", "value": "{{ $value }}"}
    spans = [span.model_copy(update={"labels": {**labels, "value": "7"}}) for span in world.spans]
    world.spans = spans
    certain = (Replayed(labels={}, start=1015.0, end=1036.9),)
    possible = (Replayed(labels={}, start=1016.9, end=1035.1),)
    world.margins = Margins(rules=(rule(labels=labels, certain=certain, possible=possible),))
    assert world.evaluate().passed


def test_several_rules_of_one_alert_are_distinguished_by_their_labels(world: World) -> None:
    """What one of them fired, another need not."""
    world.spans = [
        span.model_copy(update={"labels": {"cause": "a", "job": "x"}}) for span in world.spans
    ]
    own = (Replayed(labels={"job": "x"}, start=1015.0, end=1037.0),)
    silent = rule(labels={"cause": "b"}, possible=(), certain=())
    world.margins = Margins(rules=(rule(labels={"cause": "a"}, possible=own, certain=own), silent))
    assert world.evaluate().passed


@pytest.mark.parametrize("component", ["collector", "prometheus"])
def test_an_outage_of_the_telemetry_leaves_nothing_to_compare(world: World, component: str) -> None:
    """Points that a queue held back are there now; the rules had to do without."""
    world.margins = Margins(rules=(rule(possible=()),))
    world.timeline.append(StoredEvent(1012.0, "component_stopped", component, {}))
    verdict = world.evaluate()
    assert verdict.passed
    assert [check.name for check in verdict.skipped] == [CHECK]
    world.timeline.pop()
    world.margins = Margins(rules=(rule(possible=()),), restarted=True)
    assert [check.name for check in world.evaluate().skipped] == [CHECK]


@pytest.mark.parametrize(
    ("fault", "compared"),
    [
        ({"kind": "otlp", "to": "collector"}, False),
        ({"kind": "network", "from": "collector", "to": "prometheus", "delay": 1}, False),
        ({"kind": "memory", "mib": 1}, True),
    ],
)
def test_a_fault_that_keeps_exports_back_leaves_nothing_to_compare(
    world: World, fault: dict[str, Any], *, compared: bool
) -> None:
    """Rules had to do without what came late."""
    world.margins = Margins(rules=(rule(possible=()),))
    world.scenario["phases"][1]["faults"].append(fault)
    skipped = [check.name for check in world.evaluate().skipped]
    assert (CHECK not in skipped) is compared


@pytest.mark.parametrize(("pause", "compared"), [(2.0, True), (4.0, False)])
def test_exports_that_paused_leave_nothing_to_compare(
    world: World, pause: float, *, compared: bool
) -> None:
    """As on a machine that is too slow: what came late was not there for the rules."""
    exports = tuple(
        Export(time=at, exports=number, points=1)
        for number, at in enumerate((1000.0, 1000.5, 1000.5 + pause))
    )
    world.pipeline = Pipeline(processes=(Process(instance="api-1", exports=exports),))
    world.margins = Margins(rules=(rule(possible=()),))
    found = next(check for check in world.evaluate().checks if check.name == CHECK)
    assert found.applicable is compared


def test_refused_exports_leave_nothing_to_compare(world: World) -> None:
    """They are tried again, and arrive late."""
    world.scenario["phases"][1]["faults"].append({"kind": "otlp", "to": "prometheus"})
    world.margins = Margins(rules=(rule(possible=()),))
    assert CHECK in [check.name for check in world.evaluate().skipped]


def test_alerts_that_could_not_be_read_are_not_compared(world: World) -> None:
    """The check of the evidence says so already."""
    world.margins = Margins(rules=(rule(possible=()),))
    world.problems = ["alerts: Prometheus does not answer"]
    assert "rule replay" not in world.failed()


def test_a_rule_that_could_not_be_replayed_is_named(world: World) -> None:
    """And not counted as one that agrees."""
    world.margins = Margins(rules=(rule(problem="its query failed", possible=()),))
    check = next(check for check in world.evaluate().checks if check.name == CHECK)
    assert "0 rules" in check.summary
    assert check.details == ("HighErrorRate was not replayed: its query failed",)


def test_an_alert_that_never_fired_comes_with_value_and_limit(world: World) -> None:
    """Expression, highest value, limit, and whether the fault took hold."""
    world.silence()
    limit = LimitMargin(
        expression="errors", operator=">", limit=60.0,
        fault_peak={"burst": 6.0}, fault_held={"burst": 5.0},
    )  # fmt: skip
    world.margins = Margins(
        rules=(rule(expression="errors > 60", limits=(limit,), possible=(), certain=()),)
    )
    (check,) = world.evaluate().failed
    assert check.summary == "never fired: the condition of its rule was never true"
    assert check.details == (
        "rule: errors > 60",
        "highest value in burst: 6, for all of `for` (4 s): 5; limit: > 60",
        (
            "the fault errors 50% of phase burst took hold: "
            "49.7 % of the 195 requests of the load failed"
        ),
    )


def test_series_that_came_too_late_are_no_condition_that_was_never_true(world: World) -> None:
    """No sentence may contradict the line below it."""
    world.silence()
    world.margins = Margins(rules=(rule(),))
    summary = world.failed()["alert HighErrorRate in burst"]
    assert "the series that Prometheus holds pass its limit" in summary


def test_several_short_stretches_are_not_added_up(world: World) -> None:
    """The longest counts, since each begins ``for`` anew."""
    world.silence()
    world.rules = [LoadedRule(name=ALERT, for_=10.0)]
    for start, end in ((1011.0, 1014.0), (1016.0, 1020.2), (1024.0, 1026.0)):
        world.fire(ALERT, start, end, "pending")
    assert world.failed()["alert HighErrorRate in burst"] == (
        "never fired: it was pending 3 times, at longest for 4.2 s (2m6s of production time), and "
        "`for` is 10.0 s (5m of production time)"
    )


@pytest.mark.parametrize(
    ("end", "words"), [(1040.0, "its condition failed at single evaluations"), (1059.5, "ended")]
)
def test_pending_for_longer_than_for_is_explained(world: World, end: float, words: str) -> None:
    """Two stretches whose pause no sample shows, or an end of the run."""
    world.silence()
    world.rules = [LoadedRule(name=ALERT, for_=10.0)]
    world.fire(ALERT, 1023.0, end, "pending")
    assert words in world.failed()["alert HighErrorRate in burst"]


def test_a_late_alert_says_where_the_time_went(world: World) -> None:
    """The condition, ``for``, then grouping and delivery."""
    world.silence()
    world.fire(ALERT, 1021.0, 1025.5, "pending")
    world.fire(ALERT, 1026.0, 1036.0)
    world.notify(ALERT, 1031.0)
    last = world.notifications.pop()
    world.notifications.append(type(last)(
        1031.0, "firing", ALERT, last.labels, {}, 1026.0, "default"
    ))  # fmt: skip
    world.notify(ALERT, 1038.0, "resolved")
    assert world.failed()["alert HighErrorRate in burst"].endswith(
        "the condition was true from +11.0 s on, `for` took 5.0 s, grouping and delivery took 5.0 s"
    )
