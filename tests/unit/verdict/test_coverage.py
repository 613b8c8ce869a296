"""Which alerts a run exercised, and which ones all scenarios together do."""

from __future__ import annotations

from testbed.coverage import alert_coverage, coverage_text, covering_text
from testbed.facts.configured import ConfiguredGroup, ConfiguredRule
from testbed.report.junit import junit_xml
from testbed.scenario import Scenario
from testbed.snapshot import LoadedRule

from .conftest import ALERT, SCENARIO, World


def test_a_verdict_says_which_alerts_it_exercised(world: World) -> None:
    """Fired, and notified as expected; all others are named."""
    world.rules = [
        LoadedRule(name=ALERT, for_=4.0),
        LoadedRule(name="Quiet"),
        LoadedRule(name="Quiet"),
    ]
    verdict = world.evaluate()
    assert verdict.coverage is not None
    # The heartbeat is exercised by every run.
    assert verdict.coverage.text == "2 of 3 alerts exercised; not exercised: Quiet"
    assert 'name="alerts_not_exercised" value="Quiet"' in junit_xml(verdict)


def test_an_alert_that_was_late_was_not_exercised(world: World) -> None:
    """Only what went as expected counts."""
    world.silence()
    coverage = world.evaluate().coverage
    assert coverage is not None
    assert coverage.exercised == ("Watchdog",)


def test_without_rules_there_is_no_coverage(world: World) -> None:
    """What is loaded is unknown then."""
    world.rules = None
    assert world.evaluate().coverage is None


def test_alerts_are_mapped_to_the_scenarios_that_expect_them() -> None:
    """Recording rules aside, and each name once."""
    rules = tuple(
        ConfiguredRule(kind, name, "x")
        for kind, name in (("alerting", ALERT), ("alerting", "Never"), ("recording", "r:x"))
    )
    groups = (
        ConfiguredGroup("a.yml", "g", None, rules),
        ConfiguredGroup("b.yml", "h", None, rules),
    )
    covered = alert_coverage(groups, {"error-burst": Scenario.model_validate(SCENARIO)})
    assert covered == {ALERT: ("error-burst",), "Never": ()}
    assert coverage_text(covered) == "1 of 2 alerts exercised by some scenario; by none: Never"


def test_every_scenario_exercises_a_heartbeat() -> None:
    """Whatever it is called, and though no scenario names it."""
    rules = (ConfiguredRule("alerting", "DeadMansSwitch", "vector(1)"),)
    group = ConfiguredGroup("a.yml", "g", None, rules)
    played = {name: Scenario.model_validate(SCENARIO) for name in ("one", "two")}
    covered = alert_coverage((group,), played)
    assert covered == {"DeadMansSwitch": ("one", "two")}
    assert covering_text(covered["DeadMansSwitch"], played) == "every scenario"
    assert covering_text(("one",), played) == "one"
    assert covering_text((), played) == "no scenario"
