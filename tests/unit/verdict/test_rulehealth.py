"""Rules, evaluations, scrapes, exports and clocks: what is broken is named, with its link."""

from __future__ import annotations

from typing import Any

import pytest
from testbed.checks.stages import Stage
from testbed.facts.cadence import Cadence, Stretch, failing, pauses
from testbed.facts.clockoffsets import ClockOffset
from testbed.facts.logrecords import RecordFacts
from testbed.facts.pace import Pace
from testbed.facts.rulehealth import ClockReadings, RuleHealth, RuleState
from testbed.facts.signals import Signals
from testbed.facts.spans import SpanFacts
from testbed.pipeline import Export, Pipeline, Process
from testbed.records import StoredEvent
from testbed.verdict import CheckResult

from .conftest import ALERT, World

END = 1060.0


def cadence(name: str, job: str = "", *away: tuple[float, float], **more: Any) -> Cadence:  # noqa: ANN401 - fields of many types
    """Something that happened every half second, but for some pauses."""
    times = [
        time
        for time in (997.0 + number / 2 for number in range(126))
        if not any(start < time < end for start, end in away)
    ]
    found = pauses(times, longer=1.25, until=END)
    return Cadence(
        name=name, job=job, interval=0.5, count=len(times), first=times[0], last=times[-1],
        pauses=found, **more,
    )  # fmt: skip


def health(*away: tuple[float, float], **changes: Any) -> RuleHealth:  # noqa: ANN401 - fields of many types
    """Facts of a run in which Prometheus paused at some times."""
    facts: dict[str, Any] = {
        "groups": 2,
        "rules": (
            RuleState(name=ALERT, kind="alerting", group="api", health="ok"),
            RuleState(name="Other", kind="alerting", group="drift", health="ok"),
        ),
        "evaluations": (cadence("api", "", *away), cadence("drift", "", *away)),
        "scrapes": (
            cadence("api-1", "ml-api", *away),
            cadence("127.0.0.1:1", "otel-collector", *away),
        ),
    }
    return RuleHealth(**{**facts, **changes})


@pytest.fixture
def sound(world: World) -> World:
    """A run whose rules are in order, too."""
    world.rulehealth = health()
    world.run = {"export_interval": 0.5, "drift_interval": 10.0}
    return world


def lead(world: World) -> CheckResult:
    """What leads the verdict."""
    return world.evaluate().failed[0]


def test_a_sound_run_passes(sound: World) -> None:
    """Nothing to complain of."""
    assert sound.evaluate().failed == ()


@pytest.mark.parametrize(
    ("changes", "name", "complaint"),
    [
        ({"rules": (), "groups": 0, "evaluations": ()}, "rules loaded", "loaded no rule"),
        ({"unlike_files": ("group g is gone",)}, "rules loaded", "other rules than its files say"),
        ({"unlike_source": ("A: too long",)}, "rules loaded", "are not the source files at its"),
    ],
)
def test_rules_that_are_not_those_of_the_files_lead(
    sound: World, changes: dict[str, Any], name: str, complaint: str
) -> None:
    """None loaded, others loaded, or scaled wrongly."""
    sound.rulehealth = health(**changes)
    check = lead(sound)
    assert (check.name, check.stage) == (name, Stage.RULE)
    assert complaint in check.summary


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (
            RuleState(name="A", kind="recording", group="g", health="err", last_error="many"),
            "the evaluation of the rule A fails (its health is err): many",
        ),
        (
            RuleState(name="A", kind="alerting", group="g", health="unknown", evaluated=False),
            "the rule A of group g was never evaluated",
        ),
    ],
)
def test_a_rule_that_is_not_healthy_fails_though_nobody_expects_it(
    sound: World, state: RuleState, complaint: str
) -> None:
    """An alert that nobody expects, or a recording rule."""
    sound.rulehealth = health(rules=(state,))
    check = lead(sound)
    assert (check.stage, check.summary) == (Stage.RULE, complaint)


def test_a_rule_that_failed_for_a_while_is_not_healthy(sound: World) -> None:
    """Its last evaluation may be in order again."""
    sound.rulehealth = health(evaluations=(cadence("api", failures=9), cadence("drift")))
    assert lead(sound).summary == "9 evaluations of rules of the group api failed"
    sound.rulehealth = health(evaluations=(cadence("api", failures=2), cadence("drift")))
    assert sound.evaluate().passed


def test_rules_may_fail_where_prometheus_can_keep_no_results(sound: World) -> None:
    """A fault fills its disk; they must be in order at the end."""
    sound.rulehealth = health(evaluations=(cadence("api", failures=9), cadence("drift")))
    full = {"kind": "disk-full", "component": "prometheus"}
    sound.scenario["phases"][1]["faults"] = [full]
    healthy = next(check for check in sound.evaluate().checks if check.name == "rules healthy")
    assert healthy.passed


def test_a_frozen_prometheus_is_the_culprit(sound: World) -> None:
    """All evaluations and scrapes pause at once: not the rules, and not the targets."""
    sound.rulehealth = health((1012.0, 1032.0))
    verdict = sound.evaluate()
    assert verdict.culprit is Stage.PROMETHEUS
    (check,) = verdict.failed
    assert check.name == "rules evaluated"
    assert "Prometheus stood still for 20." in check.summary
    assert "in burst" in check.summary


def test_a_short_pause_is_no_finding(sound: World) -> None:
    """A busy machine makes processes wait."""
    sound.rulehealth = health((1012.0, 1014.5))
    assert sound.evaluate().passed


def test_a_pause_of_the_whole_machine_is_nobodys(sound: World) -> None:
    """The runner's own thread stood still, too."""
    stall = Stretch(start=1012.2, end=1031.9)
    pace = Pace(lines=100, slowdown=1.0, worst=1.0, late=19.7, busy=0.5, stalls=(stall,))
    sound.rulehealth = health((1012.0, 1032.0), pace=pace)
    assert sound.evaluate().passed


def test_a_group_slower_than_its_interval_is_the_rules_fault(sound: World) -> None:
    """The others are evaluated in time."""
    slow = cadence("drift", missed=60, slowest=0.9)
    sound.rulehealth = health(evaluations=(cadence("api"), slow))
    check = lead(sound)
    assert check.stage is Stage.RULE
    assert "the group drift takes up to 0.9 s" in check.summary


def test_without_prometheuss_own_metrics_nothing_can_be_said(sound: World) -> None:
    """That is a finding, not a pass."""
    sound.rulehealth = health(evaluations=(Cadence(name="api", interval=0.5),))
    assert "no metrics of its own" in lead(sound).summary


def test_a_target_that_does_not_answer_is_the_culprit(sound: World) -> None:
    """A stretch of failures, or many single ones."""
    stretch = Stretch(start=1012.0, end=1022.0, count=20)
    target = cadence("api-1", "ml-api", failures=20, failing=(stretch,))
    sound.rulehealth = health(scrapes=(target,))
    check = lead(sound)
    assert (check.name, check.stage) == ("scrapes", Stage.SERVICE)
    assert "api-1: did not answer its scrapes for 10.0 s in burst" in check.summary

    target = cadence("127.0.0.1:1", "otel-collector", failures=40)
    sound.rulehealth = health(scrapes=(target,))
    assert lead(sound).stage is Stage.COLLECTOR
    assert "40 of 126 scrapes failed" in lead(sound).summary


def test_what_a_user_scrapes_besides_is_not_applicable(sound: World) -> None:
    """A target in production is not there in a run."""
    own = cadence("db:9187", "elsewhere", failures=126)
    mine = cadence("api-1", "ml-api")
    sound.rulehealth = health(scrapes=(own, mine), unscraped=("far at db:1",))
    assert lead(sound).name == "scrapes"
    sound.run["own_jobs"] = ("elsewhere", "far")
    verdict = sound.evaluate()
    assert verdict.failed == ()
    skipped = {check.name for check in verdict.skipped}
    assert {"scrapes of elsewhere", "scrapes of far"} <= skipped


def test_a_target_that_is_not_scraped_is_prometheuss_fault(sound: World) -> None:
    """At all, or for a while in which others are."""
    sound.rulehealth = health(unscraped=("node at 127.0.0.1:9100",))
    assert lead(sound).summary == "node at 127.0.0.1:9100: never scraped"
    gone = cadence("api-1", "ml-api", (1012.0, 1022.0))
    sound.rulehealth = health(scrapes=(gone, cadence("127.0.0.1:1", "otel-collector")))
    check = lead(sound)
    assert (check.stage, check.name) == (Stage.PROMETHEUS, "scrapes")
    assert "ml-api at api-1: not scraped for 10.0 s" in check.summary


def test_what_the_scenario_itself_stops_is_no_finding(sound: World) -> None:
    """A restart of the Collector, and a second life of the API under another id."""
    for name in ("collector", "api"):
        sound.timeline.append(StoredEvent(1012.0, "component_stopped", name, {}))
        sound.timeline.append(StoredEvent(1022.0, "component_started", name, {}))
    stretch = Stretch(start=1011.8, end=1022.5, count=20)
    down = cadence("127.0.0.1:1", "otel-collector", failures=20, failing=(stretch,))
    scrapes = [
        cadence(instance, job, away)
        for job in ("ml-api", "fastapi")  # the same under the name of another system
        for instance, away in (("api-1", (1012.0, 2000.0)), ("api-2", (0.0, 1023.0)))
    ]
    sound.rulehealth = health(scrapes=(down, *scrapes))
    assert sound.evaluate().passed


@pytest.mark.parametrize(("component", "excused"), [("collector", True), ("api", False)])
def test_a_fault_excuses_what_it_hits(sound: World, component: str, *, excused: bool) -> None:
    """A frozen Collector does not answer its scrapes; a frozen API is no reason for that."""
    sound.scenario["phases"][1]["faults"] = [{"kind": "freeze", "component": component}]
    stretch = Stretch(start=1011.8, end=1022.5, count=20)
    down = cadence("127.0.0.1:1", "otel-collector", failures=20, failing=(stretch,))
    sound.rulehealth = health(scrapes=(down, cadence("api-1", "ml-api")))
    scrapes = next(check for check in sound.evaluate().checks if check.name == "scrapes")
    assert scrapes.passed is excused


def exporting(*names: str, silent: str = "") -> Pipeline:
    """Processes of which one exports nothing for a while."""
    return Pipeline(
        processes=tuple(
            Process(
                instance=name,
                exports=tuple(
                    Export(time=time, exports=1, points=1)
                    for time in (997.0 + number / 2 for number in range(126))
                    if name != silent or not 1012.0 < time < 1025.0
                ),
            )
            for name in names
        )
    )


def test_a_hole_in_the_exports_of_one_process_is_its_own(sound: World) -> None:
    """The others' exports arrive, so the way is open."""
    sound.pipeline = exporting("api-1", "drift-1", silent="api-1")
    found = {check.name: check for check in sound.evaluate().failed}
    assert found["exports"].stage is Stage.EXPORT
    assert "api-1: no export arrived for 13.0 s" in found["exports"].summary
    sound.pipeline = exporting("api-1", "drift-1", silent="drift-1")
    found = {check.name: check for check in sound.evaluate().failed}
    assert found["exports"].stage is Stage.DRIFT_JOB


def test_a_load_exports_until_it_ends(sound: World) -> None:
    """Then it is over; before, a hole is one."""
    sound.pipeline = exporting("api-1", "load-run-1", silent="load-run-1")
    load = sound.pipeline.processes[1]
    until = tuple(each for each in load.exports if each.time < 1012.0)
    ended = load.model_copy(update={"exports": until})
    sound.pipeline = Pipeline(processes=(sound.pipeline.processes[0], ended))
    assert "load-run-1: no export arrived" in sound.failed()["exports"]
    sound.timeline.append(StoredEvent(1012.0, "load_ended", "", {}))
    assert "exports" not in sound.failed()


@pytest.mark.parametrize(("component", "excused"), [("prometheus", True), ("alertmanager", False)])
def test_exports_are_no_hole_where_prometheus_could_keep_none(
    sound: World, component: str, *, excused: bool
) -> None:
    """With a full disk it drops what it is sent; that of another component is no reason."""
    sound.scenario["phases"][1]["faults"] = [{"kind": "disk-full", "component": component}]
    sound.pipeline = exporting("api-1", "drift-1", silent="api-1")
    exports = next(check for check in sound.evaluate().checks if check.name == "exports")
    assert exports.passed is excused


def test_exports_that_no_prometheus_could_take_yet_are_no_hole(sound: World) -> None:
    """A slow start, and a queue of the Collector too small for it; later ones are missed."""
    sound.pipeline = exporting("api-1", "drift-1", silent="api-1")
    sound.timeline.append(StoredEvent(1024.5, "component_ready", "prometheus", {}))
    assert "exports" not in {check.name for check in sound.evaluate().failed}
    sound.timeline[-1] = StoredEvent(1013.0, "component_ready", "prometheus", {})
    sound.timeline.append(StoredEvent(1024.5, "component_ready", "prometheus", {}))  # a restart
    assert "exports" in {check.name for check in sound.evaluate().failed}


def test_clocks_that_disagree_are_named(sound: World) -> None:
    """Prometheus's, a process's, the load's and Alertmanager's."""
    sound.rulehealth = health(
        clocks=ClockReadings(prometheus=-30.0, doubt=0.1, future={"api-1": 59.0})
    )
    check = lead(sound)
    assert (check.name, check.stage) == ("clocks", Stage.INSTRUMENT)
    assert check.summary == "api-1 stamps its metrics 59.0 s in the future"
    assert check.details == ("Prometheus's clock is 30.0 s behind that of the testbed",)
    sound.rulehealth = health()
    sound.timeline.append(StoredEvent(1200.0, "load_started", "", {}))
    assert "the load's clock is 200.0 s behind" in sound.failed()["clocks"]
    sound.timeline.pop()
    sound.notify("Other", 1045.0)
    late = sound.notifications[-1]
    sound.notifications[-1] = type(late)(
        late.received_at, late.status, late.alert, late.labels, {}, 1090.0, late.receiver
    )
    assert "Other started 45.0 s after its notification" in sound.failed()["clocks"]
    sound.notifications[-1] = type(late)(
        late.received_at, late.status, late.alert, late.labels, {}, 950.0, late.receiver
    )
    assert "before the stack did" in sound.failed()["clocks"]
    sound.timeline.append(StoredEvent(940.0, "component_started", "prometheus", {}))
    assert "clocks" not in sound.failed()


def test_stamps_of_another_clock_are_named_with_their_process(sound: World) -> None:
    """Those of spans and of log records; a few that a busy machine put there are none."""
    few, many = (
        ClockOffset(instance="api-1", count=count, of=500, seconds=-60.0) for count in (10, 200)
    )
    sound.signals = Signals(traces=SpanFacts(clocks=(few,)), logs=RecordFacts(clocks=(few,)))
    assert "clocks" not in sound.failed()
    sound.signals = Signals(traces=SpanFacts(clocks=(many,)), logs=RecordFacts(clocks=(many,)))
    check = lead(sound)
    assert (check.name, check.stage) == ("clocks", Stage.INSTRUMENT)
    text = "api-1 stamps 200 of 500 {} 60.0 s behind the load's clock (median)"
    assert (check.summary, check.details) == (text.format("spans"), (text.format("log records"),))


def test_exports_whose_stamps_go_back_are_named(sound: World) -> None:
    """By their own numbers: a clock that was set back, or one that was ahead and is right again."""
    times = (1000.0, 1000.5, 941.0, 941.5, 1002.0)
    exports = [Export(time=at, exports=n, points=1) for n, at in enumerate(times)]
    in_order_of_time = tuple(sorted(exports, key=lambda export: export.time))
    sound.timeline.append(StoredEvent(940.0, "component_started", "api", {}))
    sound.pipeline = Pipeline(processes=(Process(instance="api-1", exports=in_order_of_time),))
    text = "api-1 stamps metrics 59.5 s before those that it sent before"
    assert sound.failed()["clocks"] == text


def test_pauses_reach_to_the_end_and_only_the_longest_are_kept() -> None:
    """What stopped for good is a pause, too."""
    found = pauses([0.0, 1.0, 5.0, 6.0], longer=2.5, until=20.0)
    assert [(each.start, each.end) for each in found] == [(1.0, 5.0), (6.0, 20.0)]
    assert pauses([], longer=1.0, until=5.0) == ()
    assert len(pauses([3.0 * n for n in range(40)], longer=1.0, until=0.0)) == 10


def test_failures_are_counted_by_stretch() -> None:
    """From the last success before to the first one after."""
    points = [(0.0, 1.0), (1.0, 0.0), (2.0, 0.0), (3.0, 1.0), (4.0, 0.0)]
    assert [(e.start, e.end, e.count) for e in failing(points)] == [(0.0, 3.0, 2), (3.0, 4.0, 1)]
