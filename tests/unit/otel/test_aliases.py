"""Names of other systems: the same numbers, in both readers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from testbed_otel import names
from testbed_otel.aliases import ALIASES, AliasError, aliases_of
from testbed_otel.sdk import (
    Telemetry,
    TelemetrySettings,
    TelemetrySettingsError,
    counter,
    gauge,
    setup,
)

if TYPE_CHECKING:
    from tests.support.otlpreceiver import Receiver


def _exercise(telemetry: Telemetry) -> None:
    meter = telemetry.meter("test")
    durations = telemetry.histogram(meter, names.HTTP_DURATION)
    active = telemetry.sums(meter, names.HTTP_ACTIVE)
    predictions = telemetry.sums(meter, names.PREDICTIONS)
    for status, version, seconds in (
        (200, "1.1", 0.1),
        (200, "1.0", 0.3),
        (422, "1.1", 3),
        (503, "1.1", 0.1),
    ):
        durations.record(
            seconds,
            {
                names.HTTP_METHOD: "POST",
                names.HTTP_ROUTE: "/predict",
                names.HTTP_STATUS: status,
                names.PROTOCOL_VERSION: version,
            },
        )
    active.add(2, {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: "/predict"})
    active.add(3, {names.HTTP_METHOD: "GET", names.HTTP_ROUTE: "/"})
    predictions.add(5, {names.MODEL_VERSION: "1", names.PREDICTION_CLASS: "yes"})
    telemetry.histogram(meter, names.MODEL_INFERENCE).record(0.01)
    gauge(meter, names.MODEL_LOADED).set(1)


def test_names_of_system_c_have_the_numbers_of_their_sources() -> None:
    """Labels are those of that system, and points that fall together are added up."""
    telemetry = setup("ml-api", TelemetrySettings(endpoint=None, aliases=("ml-api",)))
    _exercise(telemetry)
    value = telemetry.registry.get_sample_value
    labels = {"method": "POST", "endpoint": "/predict"}
    assert value("api_requests_total", {**labels, "status": "200"}) == 2
    assert value("api_errors_total", {"endpoint": "/predict", "error_type": "4xx"}) == 1
    assert value("api_errors_total", {"endpoint": "/predict", "error_type": "5xx"}) == 1
    assert value("api_request_duration_seconds_count", labels) == 4
    assert value("api_request_duration_seconds_sum", labels) == pytest.approx(3.5)
    assert value("api_request_duration_seconds_bucket", {**labels, "le": "0.25"}) == 2
    assert value("api_active_requests") == 5
    assert value("predictions_total", {"outcome": "yes"}) == 5
    assert value("model_loaded") == 1
    assert value("model_inference_duration_seconds_count") == 1


def test_a_state_of_several_versions_stays_a_state() -> None:
    """While a challenger is loaded beside the champion, and after one has left, it is 1."""
    telemetry = setup("ml-api", TelemetrySettings(endpoint=None, aliases=("ml-api",)))
    loaded = gauge(telemetry.meter("test"), names.MODEL_LOADED)
    value = telemetry.registry.get_sample_value
    for states, expected in (((1, 1), 1), ((0, 1), 1), ((0, 0), 0)):
        for version, state in enumerate(states):
            loaded.set(state, {names.MODEL_VERSION: str(version)})
        assert value("model_loaded") == expected
    telemetry.shutdown()


def test_confidence_of_system_b_is_a_gauge_by_class_and_a_summary() -> None:
    """The gauge is the mean of its class, of all versions; the summary the count and sum of all."""
    telemetry = setup("ml-api", TelemetrySettings(endpoint=None, aliases=("titanic",)))
    family = telemetry.histogram(telemetry.meter("test"), names.PREDICTION_PROBABILITY)
    for label, probability in (("yes", 0.75), ("yes", 0.625), ("no", 0.875)):
        family.record(probability, {names.MODEL_VERSION: "1", names.PREDICTION_CLASS: label})
    family.record(1.0, {names.MODEL_VERSION: "2", names.PREDICTION_CLASS: "no"})
    value = telemetry.registry.get_sample_value
    assert value("ml_prediction_confidence", {"class": "yes"}) == 0.6875
    assert value("ml_prediction_confidence", {"class": "no"}) == 0.9375
    assert value("ml_prediction_confidence_summary_count") == 4
    assert value("ml_prediction_confidence_summary_sum") == 3.25
    telemetry.shutdown()


def test_names_of_the_drift_job_are_pushed(receiver: Receiver) -> None:
    """Scores and detections, which come from ordinary instruments, have their other names too."""
    settings = TelemetrySettings(
        receiver.url, math.inf, 5, aliases=("fastapi-instrumentator", "titanic")
    )
    telemetry = setup("drift-job", settings)
    meter = telemetry.meter("test")
    version = {names.MODEL_VERSION: "1"}
    counter(meter, names.DRIFT_DETECTIONS).add(2, {**version, names.COLUMN: "age"})
    gauge(meter, names.DRIFT_RATIO).set(0.25, version)
    assert telemetry.flush()
    pushed = {
        metric.name: metric
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    (detected,) = pushed["ml_data_drift_detected_total"].sum.data_points
    assert detected.as_int == 2
    assert [(each.key, each.value.string_value) for each in detected.attributes] == [
        ("feature", "age")
    ]
    for name in ("data_drift_score", "ml_data_drift_score"):
        assert [point.as_double for point in pushed[name].gauge.data_points] == [0.25]
    telemetry.shutdown()


def test_aliases_are_pushed_as_well(receiver: Receiver) -> None:
    """Prometheus finds them without a scrape."""
    telemetry = setup(
        "ml-api",
        TelemetrySettings(receiver.url, math.inf, 5, aliases=("fastapi-instrumentator", "ml-api")),
    )
    _exercise(telemetry)
    assert telemetry.flush()
    sums = receiver.sums()
    assert (sums["api_requests_total"], sums["http_requests_total"]) == (4, 4)
    assert (sums[names.PREDICTIONS.name], sums[names.HTTP_ACTIVE.name]) == (5, 5)
    telemetry.shutdown()


def test_aliases_are_pushed_under_the_job_of_their_system(receiver: Receiver) -> None:
    """Once: the process's own metrics stay its own, and a scrape shows what it showed."""
    aliases = ("fastapi-instrumentator",)
    settings = TelemetrySettings(
        receiver.url, math.inf, 5, aliases=aliases, alias_service="fastapi"
    )
    telemetry = setup("ml-api", settings)
    _exercise(telemetry)
    assert telemetry.flush()
    assert telemetry.flush()  # counts itself, from the second on
    found = {}
    for resource in receiver.metrics[-1].resource_metrics:
        who = {each.key: each.value.string_value for each in resource.resource.attributes}
        metrics = {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
        found[who["service.name"]] = (who["service.instance.id"], metrics)
    assert found["fastapi"][1] == {"http_requests_total", "http_request_duration_seconds"}
    assert not found["fastapi"][1] & found["ml-api"][1]
    assert {names.HTTP_DURATION.name, names.TELEMETRY_EXPORTS.name} <= found["ml-api"][1]
    assert found["fastapi"][0] == found["ml-api"][0]
    assert telemetry.registry.get_sample_value("target_info", {"service_name": "fastapi"}) is None
    telemetry.shutdown()


def test_no_metric_is_pushed_empty(receiver: Receiver) -> None:
    """Before the first error there is no counter of errors: one without points is refused."""
    telemetry = setup("ml-api", TelemetrySettings(receiver.url, math.inf, 5, aliases=("ml-api",)))
    durations = telemetry.histogram(telemetry.meter("test"), names.HTTP_DURATION)
    durations.record(0.1, {names.HTTP_ROUTE: "/predict", names.HTTP_STATUS: 200})
    assert telemetry.flush()
    pushed = {
        metric.name: metric.WhichOneof("data")
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert pushed["api_requests_total"] == "sum"
    assert "api_errors_total" not in pushed
    assert None not in pushed.values()
    telemetry.shutdown()


def test_nothing_is_shown_without_the_setting() -> None:
    """Names of other systems cost storage, so they are asked for."""
    telemetry = setup("ml-api", TelemetrySettings(endpoint=None))
    _exercise(telemetry)
    assert telemetry.registry.get_sample_value("api_active_requests") is None


@pytest.mark.parametrize("preset", sorted(ALIASES))
def test_aliases_fit_their_sources(preset: str) -> None:
    """They use attributes that the source has; a name of the vocabulary has its labels as well."""
    own = {metric.prometheus: metric for metric in names.METRICS}
    for alias in ALIASES[preset]:
        assert {name for name, _ in alias.labels} <= set(alias.source.attributes)
        if alias.name in own:
            assert own[alias.name] == alias.source
            assert all(names.label(name) == label for name, label in alias.labels)
    assert not {alias.name for alias in aliases_of([preset])} & set(own)


def test_setting_names_the_systems() -> None:
    """A list with commas; a preset that isn't there is refused by the variable's name."""
    settings = TelemetrySettings.from_env({"TESTBED_METRIC_ALIASES": "titanic, ml-api"})
    assert settings.aliases == ("titanic", "ml-api")
    with pytest.raises(TelemetrySettingsError, match="TESTBED_METRIC_ALIASES"):
        TelemetrySettings.from_env({"TESTBED_METRIC_ALIASES": "x"})
    with pytest.raises(AliasError, match="'x' is not a preset"):
        aliases_of(["x"])


def test_setting_names_the_system_whose_jobs_are_meant() -> None:
    """One that has any; the others are refused by the variable's name."""
    variable = "TESTBED_JOB_NAMES"
    assert TelemetrySettings.from_env({}).alias_service is None
    settings = TelemetrySettings.from_env({variable: "fastapi-instrumentator"})
    assert settings.alias_service == "fastapi"
    with pytest.raises(TelemetrySettingsError, match=f"{variable}: 'titanic' has no job names"):
        TelemetrySettings.from_env({variable: "titanic"})
