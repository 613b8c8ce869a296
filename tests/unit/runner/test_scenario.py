"""The scenario schema and the scenarios that ship."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.docs.telemetry import UNPROVOKED
from testbed.errors import UsageError
from testbed.heartbeat import always_fires
from testbed.resources import find_scenario, scenario_files
from testbed.scenario import Phase, Scenario, read_scenario

from tests.support.yamltext import load_yaml

SHIPPED = (
    "alertmanager-outage",
    *("api-out-of-cpu", "api-outage"),
    *("collector-restart", "concept-drift", "correlation-drift", "covariate-drift"),
    *(
        "database-outage",
        "demo",
        "dns-outage",
        "drift-job-down",
        "drift-margin",
        "error-burst",
        "error-margin",
    ),
    *("frozen-api", "frozen-collector", "frozen-drift-job", "gradual-drift", "killed-collector"),
    "label-shift",
    *("latency-margin", "log-failing", "log-spooling", "metrics-rejected", "model-lost", "normal"),
    *(
        "overload",
        "prometheus-broken",
        "prometheus-disk-full",
        "queue-full",
        "regression-drift",
        "replica-silent",
    ),
    *(
        "retraining-failed",
        "segment-drift",
        "slow-model",
        "slow-network-to-collector",
        "too-late",
        "uneven-load",
    ),
    *("version-unwatched", "wrong-rule"),
)


def test_the_named_scenarios_ship() -> None:
    """Every scenario of the documentation is there, under its own name."""
    assert tuple(scenario_files()) == SHIPPED
    for name, path in scenario_files().items():
        assert read_scenario(path).name == name


def test_durations_are_read_as_prometheus_writes_them() -> None:
    """A duration text becomes seconds."""
    assert read_scenario(find_scenario("collector-restart")).phases[1].duration == 720


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("duration: 5 minutes", "phases[0].duration"),
        ("rate: 0", "phases[0].rate"),
        ("rate: .nan", "phases[0].rate"),
        ("rate: yes", "phases[0].rate: give a number: yes, no"),
        ("duration: on", "phases[0].duration: give a number: yes, no"),
        ("faults: [{kind: errors, ratio: true}]", "phases[0].faults[0].errors.ratio: give a num"),
        ("duration: .inf", "phases[0].duration"),
        ("colour: red", "phases[0].colour"),
        ("faults: [{kind: errors, ratio: 2}]", "phases[0].faults[0].errors.ratio"),
        ("faults: [{kind: magic}]", "phases[0].faults[0].kind must be one of"),
        ("faults: [{kind: otlp, to: receiver}]", "phases[0].faults[0].otlp.to"),
        ("drift: {name: scale, only: {column: Age}}", "phases[0].drift.only"),
        ("drift: {name: scale, form: {kind: magic}}", "phases[0].drift.form.kind must be one of"),
        ("drift: {name: scale, form: {kind: gradual, start: 2}}", "phases[0].drift.form"),
        ("drift: {name: scale, only: {column: Age, equals: a, above: 1}}", "phases[0].drift.only"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, change: str, complaint: str) -> None:
    """The error names the file and the field."""
    phase = {"name": "a", "duration": "5m", "rate": "50"}
    key, _, value = change.partition(": ")
    phase[key] = value
    fields = ", ".join(f"{name}: {text}" for name, text in phase.items())
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ntitle: t\ndescription: d\nphases: [{{{fields}}}]\n")
    with pytest.raises(UsageError) as caught:
        read_scenario(path)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def scenario_with(folder: Path, phase: str) -> Path:
    """A scenario file of one phase."""
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\ntitle: t\ndescription: d\nphases: [{{{phase}}}]\n")
    return path


def test_a_trace_is_read_beside_its_scenario(tmp_path: Path) -> None:
    """The scenario holds the points from then on, and its load the same times at any scale."""
    (tmp_path / "rates.csv").write_text("seconds,rate\n0,10\n60,30\n")
    path = scenario_with(tmp_path, "name: a, duration: 10m, shape: {kind: trace, file: rates.csv}")
    (phase,) = read_scenario(path).phases
    assert (phase.mean_rate, phase.peak_rate) == (20.0, 30.0)
    assert phase.played(30.0).planned(1) == 400
    assert Phase.model_validate(phase.model_dump(mode="json")) == phase


@pytest.mark.parametrize(
    ("phase", "complaint"),
    [
        ("name: a, duration: 5m", "phases[0]: give one of rate, shape and users"),
        (
            "name: a, duration: 5m, rate: 1, shape: {kind: ramp, start: 1, end: 2}",
            "phases[0]: give one of rate, shape and users",
        ),
        ("name: a, duration: 5m, shape: {kind: hill}", "phases[0].shape.kind must be one of"),
        (
            "name: a, duration: 5m, shape: {kind: ramp, start: 1, end: 6000}",
            "phases[0].shape.ramp.end must be at most 5000",
        ),
        ("name: a, duration: 5m, shape: {kind: trace, file: no.csv}", "cannot read"),
        ("name: a, duration: 5m, rate: 1, arrivals: often", "phases[0].arrivals must be"),
        ("name: a, duration: 5m, rate: 1, users: 2", "phases[0]: give one of rate, shape"),
        ("name: a, duration: 5m, rate: 1, wait: 2", "phases[0]: wait and spawn_rate are of users"),
    ],
)
def test_a_bad_shape_is_named(tmp_path: Path, phase: str, complaint: str) -> None:
    """In words that say what to change."""
    with pytest.raises(UsageError) as caught:
        read_scenario(scenario_with(tmp_path, phase))
    assert complaint in str(caught.value)


def test_an_expected_alert_names_an_existing_phase(tmp_path: Path) -> None:
    """A misspelt phase is an error that lists the phases."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: t\ndescription: d\nphases: [{name: a, duration: 5m, rate: 1}]\n"
        "expected_alerts: [{alert: X, phase: b, within: 1m}]\n"
    )
    with pytest.raises(UsageError, match="names the phase 'b'; the scenario has a"):
        read_scenario(path)


def test_a_phase_has_one_fault_of_a_kind(tmp_path: Path) -> None:
    """Two of them would undo each other."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: t\ndescription: d\nphases: [{name: a, duration: 5m, rate: 1, faults: "
        "[{kind: errors, ratio: 0.1}, {kind: errors, ratio: 0.2}]}]\n"
    )
    with pytest.raises(UsageError, match="phase a has two faults of one kind"):
        read_scenario(path)


def test_every_alert_is_provoked_by_a_shipped_scenario(repository: Path) -> None:
    """A rule that no scenario tests may be broken for ever.

    A heartbeat fires in each of them; of the others that none expects the reference says why.
    """
    played = {
        (alert.alert, alert.labels.get("cause"))
        for path in scenario_files().values()
        for alert in read_scenario(path).expected_alerts
    }
    rules = [
        rule
        for path in (repository / "prometheus" / "rules").glob("*.yml")
        for group in load_yaml(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    known = {
        (rule["alert"], rule.get("labels", {}).get("cause"))
        for rule in rules
        if not always_fires(rule["expr"])
    }
    assert known - played == {(alert, None) for alert in UNPROVOKED}


def test_a_scenario_knows_its_columns_and_gates() -> None:
    """Use cases without them can't play it, and gates are made before the stack starts."""
    assert read_scenario(find_scenario("segment-drift")).columns == ("Age",)
    assert read_scenario(find_scenario("replica-silent")).gates == ("collector",)
    assert read_scenario(find_scenario("normal")).gates == ()


def test_settings_of_parts_are_their_variables() -> None:
    """What a scenario does not set stays as it is."""
    settings = read_scenario(find_scenario("segment-drift")).settings
    assert settings.drift_environment == {
        "TESTBED_DRIFT_SEGMENT": "Age",
        "TESTBED_DRIFT_SEGMENT_ROWS": "200",
        "TESTBED_DRIFT_RELATIONS_ROWS": "0",
    }
    assert settings.api_environment == {}
    assert read_scenario(find_scenario("too-late")).settings.api_environment == {
        "TESTBED_API_DEADLINE": "0.3"
    }


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    """The error says which names there are."""
    with pytest.raises(UsageError, match=r"there is no scenario 'demmo'; choose from .*demo"):
        find_scenario("demmo")


@pytest.mark.parametrize("content", ["a: [", "\x00", "- 1", ""])
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, content: str) -> None:
    """Broken YAML and other documents give one line, not a traceback."""
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"broken\.yaml"):
        read_scenario(path)


def test_what_a_scenario_says_of_its_rules_is_left_out_for_others() -> None:
    """That they must fire stays."""
    entry = {"alert": "A", "phase": "only", "within": "1m", "severity": "x", "receiver": "y"}
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "title": "S",
            "description": "",
            "phases": [{"name": "only", "duration": "1m", "rate": 1}],
            "expected_alerts": [{**entry, "contains": ["z"]}],
        }
    )
    (expected,) = scenario.for_other_rules().expected_alerts
    assert (expected.alert, expected.within) == ("A", 60.0)
    assert (expected.severity, expected.receiver, expected.contains) == (None, None, ())


def notified(**changes: object) -> Scenario:
    """A scenario with one expected alert, and with what is changed."""
    entry = {"alert": "A", "phase": "only", "within": "1m", "receiver": "pager"}
    return Scenario.model_validate(
        {
            "name": "s",
            "title": "S",
            "description": "",
            "phases": [{"name": "only", "duration": "1m", "rate": 1}],
            "expected_alerts": [{**entry, **changes}],
            "forbidden_notifications": [{"alert": "A", "receiver": "dba"}],
        }
    )


@pytest.mark.parametrize(
    ("count", "right", "wrong"), [(2, 2, 3), ({"min": 2}, 9, 1), ({"max": 1}, 0, 2)]
)
def test_a_count_is_a_number_or_bounds(count: object, right: int, wrong: int) -> None:
    """Both included."""
    (expected,) = notified(count=count).expected_alerts
    assert expected.count is not None
    assert right in expected.count
    assert wrong not in expected.count


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"count": 1, "receiver": None}, "needs the receiver where it counts"),
        ({"count": {"min": 2, "max": 1}}, "min is larger than max"),
        ({"count": True}, "count"),
        ({"count": -1}, "greater than or equal to 0"),
    ],
)
def test_a_count_that_can_hold_nothing_is_refused(
    changes: dict[str, object], complaint: str
) -> None:
    """With its field."""
    with pytest.raises(ValueError, match=complaint):
        notified(**changes)


def test_what_a_scenario_says_of_receivers_is_left_out_for_other_routes() -> None:
    """One text is a list of one; each receiver is known with where it is named."""
    scenario = notified(contains="text", count=1)
    assert scenario.expected_alerts[0].contains == ("text",)
    assert scenario.receivers == {
        "pager": "the expected alert A",
        "dba": "the forbidden notification of A",
    }
    other = scenario.for_other_routes()
    (expected,) = other.expected_alerts
    assert (expected.receiver, expected.count, expected.contains) == (None, None, ())
    assert other.receivers == {}
