"""A machine that is too slow is said, and nobody is blamed; a culprit is never excused by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from testbed.checks.results import AlertRow, AlertStatus, CheckResult
from testbed.checks.slowness import too_slow
from testbed.checks.stages import Stage
from testbed.facts.cadence import Stretch
from testbed.facts.pace import Pace, read_pace, summarise
from testbed.facts.rulehealth import RuleHealth
from testbed.layout import RunLayout
from testbed.pace import Pacemaker
from testbed.records import DriftRun
from testbed.stack.process import wait_until
from testbed.truth import Json

from .conftest import ALERT, World
from .test_rulehealth import cadence, health

SLOW = Pace(lines=100, slowdown=4.2, worst=7.5, late=0.05, busy=1.0, waiting=0.95)
FAST = SLOW.model_copy(update={"slowdown": 1.6, "worst": 2.8})


@pytest.fixture
def late(world: World) -> World:
    """An expected alert is late, and the drift job ran too seldom."""
    world.rulehealth = health(pace=SLOW)
    world.run = {"export_interval": 0.5, "drift_interval": 10.0}
    world.drift_runs = [DriftRun(1000.0 + 18 * n, "success", "NO_ACTION", 0.0) for n in range(3)]
    world.notifications = [
        replace(each, received_at=each.received_at + 20) for each in world.notifications
    ]
    return world


def test_a_slow_machine_is_said_with_the_scale_that_would_work(late: World) -> None:
    """Exit 2, and the verdict's parts say what was measured."""
    verdict = late.evaluate()
    assert verdict.exit_code == 2
    assert verdict.outcome == "NO VERDICT"
    assert not verdict.passed
    assert verdict.too_slow is not None
    assert "work took 4.2 times the processor time" in verdict.too_slow
    assert "runs of the drift job were up to 18.0 s apart, its interval is 10 s" in verdict.too_slow
    assert verdict.too_slow.endswith("Run it with --time-scale 10, or free the processors")
    assert any("too slow" in line for line in verdict.lines())


@pytest.mark.parametrize(
    ("names", "excused"),
    [
        (("measured active", "limit p95_seconds"), True),
        (("measured requests", "limit p95_seconds"), False),
        (("scrapes",), False),
    ],
)
def test_what_a_slow_machine_makes_fail(
    late: World,
    names: tuple[str, ...],
    excused: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Requests that wait in the socket of a starved API are in flight for the load alone."""
    failed = [
        CheckResult(name=name, passed=False, stage=Stage.INSTRUMENT, summary="") for name in names
    ]
    assert (too_slow(late.case(), failed, ()) is not None) is excused


def test_a_run_that_passes_passes(world: World) -> None:
    """However slow the machine was."""
    world.rulehealth = health(pace=SLOW)
    verdict = world.evaluate()
    assert (verdict.too_slow, verdict.exit_code) == (None, 0)


def test_a_fast_machine_excuses_nothing(late: World) -> None:
    """Two runs at a time do not count as slow."""
    late.rulehealth = health(pace=FAST)
    assert late.evaluate().exit_code == 1


@pytest.mark.parametrize(
    ("attached", "measured", "code"),
    [
        (True, {}, 2),
        (True, {"waiting": None}, 2),
        (True, {"busy": 0.9}, 1),
        (True, {"waiting": 0.6}, 1),
        (False, {}, 1),
    ],
)
def test_on_a_stack_of_others_full_processors_are_enough(
    late: World, measured: dict[str, float | None], *, attached: bool, code: int
) -> None:
    """Containers have shares of their own: the runner's work is quick while another one starves."""
    late.rulehealth = health(pace=FAST.model_copy(update=measured))
    late.run["attached"] = attached
    verdict = late.evaluate()
    assert verdict.exit_code == code
    if verdict.too_slow is not None:
        assert "the processors were 100% busy" in verdict.too_slow


DURING = Stretch(start=1020.0, end=1035.0)
SLOW_DISK = FAST.model_copy(update={"synced": 0.15, "slow_disk": (DURING,)})


@pytest.mark.parametrize(
    ("pace", "said", "freed"),
    [
        (SLOW_DISK, "the disk of the run's folder took 0.15 s to keep a line", "the disk"),
        (
            SLOW.model_copy(update={"synced": 0.15, "slow_disk": (DURING,)}),
            "% of the answers took longer than 0.25 s while it was slow, 0% at other times",
            "the processors and the disk",
        ),
        (FAST.model_copy(update={"synced": 0.05}), None, ""),
        (FAST.model_copy(update={"synced": None}), None, ""),
    ],
)
def test_a_slow_disk_is_a_slow_machine(
    late: World, pace: Pace, said: str | None, freed: str
) -> None:
    """Predictions are answered once they are logged."""
    late.rulehealth = health(pace=pace)
    waiting_for_the_disk(late)
    verdict = late.evaluate()
    assert verdict.exit_code == (1 if said is None else 2)
    if said is not None:
        assert verdict.too_slow is not None
        assert said in verdict.too_slow
        assert verdict.too_slow.endswith(f", or free {freed}")


def waiting_for_the_disk(world: World, start: float = DURING.start, end: float = 1034.0) -> None:
    """Answers that are slow while the disk is, or at other times."""
    world.requests = [
        replace(each, finished_at=each.sent_at + (0.4 if start < each.sent_at < end else 0.01))
        for each in world.requests
    ]


@pytest.mark.parametrize(
    ("start", "end", "changed"),
    [
        (0.0, 2000.0, {}),  # slow throughout: by itself
        (1000.0, 1015.0, {}),  # slow at other times
        (1020.0, 1034.0, {"service": "shop"}),  # whose own disk it is, nobody knows
    ],
)
def test_a_slow_disk_excuses_only_answers_that_wait_for_it(
    late: World, start: float, end: float, changed: dict[str, str]
) -> None:
    """A service that is slow by itself is slow at other times, too."""
    late.rulehealth = health(pace=SLOW_DISK)
    late.run |= changed
    waiting_for_the_disk(late, start, end)
    assert late.evaluate().exit_code == 1


def test_a_log_elsewhere_waits_for_another_disk(late: World) -> None:
    """That of a database server."""
    late.rulehealth = health(pace=SLOW_DISK)
    late.scenario["settings"] = {"log": {"database": "postgresql"}}
    waiting_for_the_disk(late)
    assert late.evaluate().exit_code == 1


def test_a_slow_disk_excuses_requests_in_flight(late: World) -> None:
    """These wait for a commit; a wrong value is no matter of a disk."""
    late.rulehealth = health(pace=SLOW_DISK)
    late.drift_runs = []
    waiting_for_the_disk(late)
    failed = [CheckResult(name="unexpected alerts", passed=False, stage=Stage.RULE, summary="")]
    for alert, excused in (("HighConcurrentRequests", True), ("DataDrift", False)):
        row = AlertRow(
            alert=alert,
            expected=False,
            status=AlertStatus.FALSE_POSITIVE,
            passed=False,
            fired=True,
            notified=False,
            reason="",
        )
        said = too_slow(late.case(), failed, [row])
        assert (said is not None) is excused, alert
        if said is not None:
            assert "answers took longer than 0.25 s" in said


@pytest.fixture
def starved(world: World) -> World:
    """Only what the drift job decides came late, on a machine quick enough for all else."""
    world.rulehealth = health(pace=FAST)
    world.run = {"drift_interval": 10.0}
    world.drift_runs = [
        DriftRun(1000.0 + 18 * n, "success", "NO_ACTION", 0.0, waited=8.0) for n in range(3)
    ]
    world.scenario |= {"expected_causes": ["concept"], "allowed_causes": []}
    expected = {"alert": "DataDrift", "phase": "burst", "within": "10m"}
    world.scenario["expected_alerts"].append(expected)
    world.notify("DataDrift", 1035.0)
    return world


def test_a_drift_job_for_which_no_processor_was_free_is_not_to_blame(starved: World) -> None:
    """It measures that itself: others on the machine may have needed too little to notice."""
    assert set(starved.failed()) == {"alert DataDrift in burst", "drift causes"}
    verdict = starved.evaluate()
    assert verdict.exit_code == 2
    assert verdict.too_slow is not None
    assert "a run of the drift job waited 8.0 s for a processor" in verdict.too_slow
    assert "up to 18.0 s apart, its interval is 10 s" in verdict.too_slow


@pytest.mark.parametrize("waits", [(8.0, 2.9), (8.0, None), (0.0, 0.0)])
def test_a_drift_job_that_is_slow_by_itself_is_to_blame(
    starved: World, waits: tuple[float | None, ...]
) -> None:
    """Each run that came late would have come in time but for its own wait, or nothing is said."""
    starved.drift_runs[1:] = [
        replace(run, waited=waited)
        for run, waited in zip(starved.drift_runs[1:], waits, strict=True)
    ]
    assert starved.evaluate().exit_code == 1


def test_a_starved_drift_job_excuses_no_one_else(starved: World) -> None:
    """An alert that doesn't wait for it has no time to lose."""
    starved.notifications = [
        replace(each, received_at=each.received_at + 20) for each in starved.notifications
    ]
    assert starved.evaluate().exit_code == 1


def test_without_measurements_nothing_is_excused(late: World) -> None:
    """As in a run of an earlier version."""
    late.rulehealth = RuleHealth()
    assert late.evaluate().too_slow is None


def test_a_wrong_value_is_wrong_on_a_slow_machine_too(late: World) -> None:
    """Slowness loses no count."""
    late.prometheus["api-1"].pop(0)
    assert late.evaluate().exit_code == 1


@pytest.mark.parametrize(("notified", "code"), [(1009.0, 2), (None, 1)])
def test_what_a_slow_machine_fired_early_is_not_notified_again(
    late: World, notified: float | None, code: int
) -> None:
    """Its phase has no notification of its own; where none came before, the route is to blame."""
    late.silence()
    late.fire(ALERT, 1008.0, 1009.5)
    late.fire(ALERT, 1016.0, 1036.0)
    if notified is not None:
        late.notify(ALERT, notified)
        late.notify(ALERT, 1038.0, "resolved")
    assert f"alert {ALERT} in burst" in late.failed()
    assert late.evaluate().exit_code == code


def test_drift_that_fired_wrongly_is_not_excused(late: World) -> None:
    """It stands on values; an alert on latency is another matter."""
    late.notify("DataDrift", 1045.0)
    late.notify("DataDrift", 1046.0, "resolved")
    assert late.evaluate().exit_code == 1
    late.notifications = [n for n in late.notifications if n.alert != "DataDrift"]
    late.notify("HighLatency", 1045.0)
    assert late.evaluate().exit_code == 2


def test_a_cause_that_no_decision_had_yet_may_come_late(late: World) -> None:
    """But one that no decision may stand on is wrong whenever it comes."""
    late.scenario |= {"expected_causes": ["concept"], "allowed_causes": []}
    assert set(late.failed()) >= {"drift causes"}
    assert late.evaluate().exit_code == 2
    late.drift_runs.append(DriftRun(1055.0, "success", "NO_ACTION", causes=("target",)))
    assert late.evaluate().exit_code == 1


def test_one_component_that_stands_still_is_the_culprit(late: World) -> None:
    """However slow the machine was: scrapes cost it next to nothing."""
    facts = health(pace=SLOW)
    away = (1010.0, 1020.0)
    late.rulehealth = facts.model_copy(
        update={"scrapes": (cadence("api-1", "ml-api", away), *facts.scrapes[1:])}
    )
    assert late.evaluate().exit_code == 1


def test_slow_work_alone_is_not_enough(late: World) -> None:
    """If no component lagged, what failed has another reason."""
    late.drift_runs = []
    late.requests = [replace(r, finished_at=r.sent_at + 0.01) for r in late.requests]
    assert late.evaluate().exit_code == 1


def test_measurements_are_summed_up() -> None:
    """Slowdown over all and over the worst ten seconds; stalls are times without any work."""
    line = {"late": 0.0, "took": 0.01, "needed": 0.01, "busy": 0.5, "waited": 0.0}
    lines = [line | {"time": number / 2, "waited": number / 4} for number in range(60)]
    lines[30:50] = [each | {"took": 0.05} for each in lines[30:50]]
    lines[59] |= {"late": 2.0}
    lines[1:] = [each | {"synced": 0.01} for each in lines[1:]]  # the first has none before it
    lines[20] |= {"synced": 3.01}
    pace = summarise(lines)
    assert pace.slowdown == pytest.approx((40 + 20 * 5) / 60)
    assert pace.worst == pytest.approx(5.0)
    assert (pace.busy, pace.waiting, pace.late) == (0.5, 0.5, 2.0)
    assert pace.stalls == (Stretch(start=27.5, end=29.5),)
    assert pace.synced == pytest.approx(0.31)
    assert pace.slow_disk == (Stretch(start=5.5, end=14.5),)


def test_the_machine_is_measured_until_the_pacemaker_stops(tmp_path: Path) -> None:
    """A real thread writes lines that are read again."""
    layout = RunLayout(tmp_path).create()
    assert read_pace(layout) is None
    with Pacemaker(layout.pace):
        wait_until(
            lambda: (
                None if layout.pace.exists() and layout.pace.read_text().count("\n") > 1 else "-"
            ),
            20,
            what="two lines",
        )
    pace = read_pace(layout)
    assert pace is not None
    assert pace.slowdown > 0.5
    assert pace.synced is not None
    assert pace.synced > 0


def waits(component: str, *times: float, seconds: float = 0.4) -> Pace:
    """A quick machine on which a component waited for others, half a second at a time."""
    found = tuple(Stretch(start=time - seconds, end=time) for time in times)
    return FAST.model_copy(update={"waits": {component: found}})


def measured(world: World, pace: Pace) -> RuleHealth:
    """The same run with measurements of the machine."""
    assert world.rulehealth is not None
    return world.rulehealth.model_copy(update={"pace": pace})


@pytest.fixture
def silent(world: World) -> World:
    """The API answers no scrape for four seconds, and alerts fire that say so."""
    away = Stretch(start=1010.0, end=1014.0, count=8)
    scrapes = (cadence("api-1", "ml-api", failures=8, failing=(away,)),)
    world.rulehealth = health(scrapes=scrapes)
    world.run = {"export_interval": 0.5, "drift_interval": 10.0}
    world.notify("APIDown", 1013.0)
    world.notify("APIDown", 1016.0, "resolved")
    return world


HALVES = tuple(1010.5 + step / 2 for step in range(8))


def test_a_component_that_had_no_processor_is_not_to_blame(silent: World) -> None:
    """The kernel counted its waits; a scale that leaves it more time is advised."""
    assert set(silent.failed()) >= {"scrapes", "unexpected alerts"}
    assert silent.evaluate().exit_code == 1
    silent.rulehealth = measured(silent, waits("api", *HALVES))
    assert "scrapes" not in silent.failed()
    verdict = silent.evaluate()
    assert verdict.exit_code == 2
    assert verdict.too_slow is not None
    assert "api waited 3.2 s of 5 s for a processor that others had" in verdict.too_slow
    assert "8 scrapes were not answered in time" in verdict.too_slow


@pytest.mark.parametrize(
    "pace",
    [waits("receiver", *HALVES), waits("api", *HALVES, seconds=0.1), waits("drift", *HALVES)],
    ids=["another component", "hardly", "the drift job"],
)
def test_waits_excuse_only_what_they_explain(silent: World, pace: Pace) -> None:
    """A component that stands still is the culprit, whoever else waited meanwhile."""
    silent.rulehealth = measured(silent, pace)
    assert "scrapes" in silent.failed()
    assert silent.evaluate().exit_code == 1


def test_processors_that_the_scenario_takes_say_nothing_of_the_machine(silent: World) -> None:
    """Its own busy workers are why the API waits."""
    silent.rulehealth = measured(silent, waits("api", *HALVES))
    for phase in silent.scenario["phases"]:
        phase["faults"] = [{"kind": "cpu", "component": "api"}]
    assert silent.evaluate().too_slow is None


def test_waits_are_stored_by_component() -> None:
    """Each at the end of the half second in which it was measured."""
    line: Json = {"late": 0.0, "took": 0.01, "needed": 0.01, "busy": 0.5, "waited": 0.0}
    lines = [
        line | {"time": 10.0, "waits": {"api": 0.25, "drift": 0.5}},
        line | {"time": 10.5, "waits": {"api": 0.5}},
        line | {"time": 11.0},
    ]
    assert summarise(lines).waits == {
        "api": (Stretch(start=9.75, end=10.0), Stretch(start=10.0, end=10.5)),
        "drift": (Stretch(start=9.5, end=10.0),),
    }
