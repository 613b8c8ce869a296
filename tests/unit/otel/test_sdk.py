"""The telemetry set-up: settings, identity, views, and the push through outages."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
from testbed_otel import names, sdk
from testbed_otel.sdk import TelemetrySettings, TelemetrySettingsError, setup

from tests.support.polling import PATIENCE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Meter

    from tests.support.otlpreceiver import Receiver

QUIET = TelemetrySettings(endpoint=None)


def _pushing(
    receiver: Receiver,
    interval: float = math.inf,
    timeout: float = 0.75,
    **more: Any,  # noqa: ANN401 - passed on
) -> TelemetrySettings:
    return TelemetrySettings(receiver.url, interval, export_timeout=timeout, **more)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* variable of the machine, and no noise remembered from another test."""
    internal = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
    for name in ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", internal):
        monkeypatch.delenv(name, raising=False)
    sdk._quiet._next.clear()


def test_settings_have_standard_defaults() -> None:
    """Without variables: the local Collector, a minute, one trace in a hundred."""
    settings = TelemetrySettings.from_env({})
    assert settings == TelemetrySettings("http://127.0.0.1:4318", 60.0, 10.0, 0.01, "0")


def test_settings_follow_the_standard_variables() -> None:
    """Milliseconds and base URL, as the specification has them."""
    settings = TelemetrySettings.from_env(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_TRACES_SAMPLER_ARG": "1",
        },
        service_version="1.2",
    )
    assert settings == TelemetrySettings("http://collector:4318", 0.5, 0.75, 1.0, "1.2")


def test_argument_goes_before_the_variable() -> None:
    """An endpoint on the command line wins; 'none' pushes nothing."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}
    assert TelemetrySettings.from_env(env, endpoint="http://b:2").endpoint == "http://b:2"
    assert TelemetrySettings.from_env(env, endpoint="none").endpoint is None
    assert TelemetrySettings.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "none"}).endpoint is None


@pytest.mark.parametrize(("interval", "timeout"), [("100", 0.75), ("4000", 3.0), ("60000", 10.0)])
def test_export_never_outlasts_its_interval_by_much(interval: str, timeout: float) -> None:
    """So a retry's sleep after an outage never holds fresher values back for long."""
    settings = TelemetrySettings.from_env({"OTEL_METRIC_EXPORT_INTERVAL": interval})
    assert settings.export_timeout == timeout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "often"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "nan"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ],
)
def test_wrong_variable_is_named(name: str, value: str) -> None:
    """One line that says which variable to change."""
    with pytest.raises(TelemetrySettingsError, match=name):
        TelemetrySettings.from_env({name: value})


def test_every_start_is_an_instance_of_its_own() -> None:
    """Two starts never share a service.instance.id."""
    first, second = setup("a", QUIET), setup("a", QUIET)
    assert first.instance_id != second.instance_id
    assert first.resource.attributes["service.name"] == "a"


def test_identity_from_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner gives the id, so that it can write the same one into the scrape target."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=run-7-api,team=ml")
    telemetry = setup("ml-api", TelemetrySettings(endpoint=None, service_version="3"))
    assert telemetry.instance_id == "run-7-api"
    attributes = telemetry.resource.attributes
    assert (attributes["service.name"], attributes["team"]) == ("ml-api", "ml")
    assert attributes["service.version"] == "3"


def test_prometheus_names_are_those_of_the_vocabulary() -> None:
    """Each metric of the vocabulary appears on /metrics under the name that rules use."""
    telemetry = setup("ml-api", QUIET)
    meter = telemetry.meter("test")
    for metric in names.METRICS:
        attributes = {
            attribute: dict(metric.values).get(attribute, ("x",))[0]
            for attribute in metric.attributes
        }
        if metric.kind == "histogram":
            sdk.histogram(meter, metric).record(1, attributes)
        elif metric.kind == "gauge":
            sdk.gauge(meter, metric).set(1, attributes)
        elif metric.kind == "counter":
            sdk.counter(meter, metric).add(1, attributes)
        else:
            meter.create_up_down_counter(metric.name, metric.unit).add(1, attributes)
    samples = {
        sample.name: sample.labels
        for family in telemetry.registry.collect()
        for sample in family.samples
    }
    for metric in names.METRICS:
        for series in metric.prometheus_series:
            labels = set(samples.pop(series)) - {"le"}
            assert labels == {names.label(attribute) for attribute in metric.attributes}
    assert set(samples) == {"target_info"}


def test_what_the_vocabulary_lacks_stays_out() -> None:
    """Unknown attributes and the body sizes of HTTP instrumentations make no series."""
    telemetry = setup("ml-api", QUIET)
    meter = telemetry.meter("test")
    meter.create_histogram("http.server.request.body.size", "By").record(1)
    labels = sdk.counter(meter, names.LABELS)
    labels.add(1, {"outcome": "stored", "user": "a"})
    labels.add(1, {"outcome": "stored", "user": "b"})
    assert telemetry.registry.get_sample_value("ml_labels_total", {"outcome": "stored"}) == 2
    found = {family.name for family in telemetry.registry.collect()}
    assert found == {"target", "ml_labels"}


@pytest.mark.parametrize(
    ("make", "metric"),
    [
        (sdk.counter, names.MODEL_LOADED),
        (sdk.gauge, names.LABELS),
        (sdk.histogram, names.PREDICTIONS),
    ],
)
def test_instrument_of_another_kind_is_refused(
    make: Callable[[Meter, names.Metric], object], metric: names.Metric
) -> None:
    """The kind is the vocabulary's to say."""
    with pytest.raises(ValueError, match=metric.name):
        make(setup("a", QUIET).meter("test"), metric)


def test_flush_delivers_at_once(receiver: Receiver) -> None:
    """A batch job needs no periodic push: it flushes."""
    telemetry = setup("drift-job", _pushing(receiver, timeout=PATIENCE))
    sdk.counter(telemetry.meter("test"), names.DRIFT_RUNS).add(3, {"outcome": "success"})
    assert telemetry.flush()
    assert receiver.sums()["ml.drift.job.runs"] == 3
    telemetry.shutdown()


def test_shutdown_pushes_the_last_values(receiver: Receiver) -> None:
    """What was counted since the last push arrives with the end of the process."""
    telemetry = setup("ml-api", _pushing(receiver, interval=60, timeout=PATIENCE))
    sdk.counter(telemetry.meter("test"), names.LABELS).add(5, {"outcome": "stored"})
    assert telemetry.shutdown()
    assert receiver.sums()["ml.labels"] == 5


def test_push_resumes_by_itself_after_an_outage(receiver: Receiver) -> None:
    """Counters are cumulative: after the outage nothing is missing."""
    telemetry = setup("ml-api", _pushing(receiver, interval=0.05))
    counter = sdk.counter(telemetry.meter("test"), names.LABELS)
    counter.add(1, {"outcome": "stored"})
    wait_for(lambda: receiver.sums().get("ml.labels") == 1)
    receiver.stop()
    counter.add(41, {"outcome": "stored"})
    assert not telemetry.flush(timeout=0.3)
    receiver.start()
    wait_for(lambda: receiver.sums()["ml.labels"] == 42)
    telemetry.shutdown()


def test_flush_tries_until_the_endpoint_takes_it(receiver: Receiver) -> None:
    """An endpoint that answers 503 for a while does not lose the last values."""
    telemetry = setup("ml-api", _pushing(receiver))
    sdk.counter(telemetry.meter("test"), names.LABELS).add(1, {"outcome": "stored"})
    receiver.status = 503
    assert not telemetry.flush(timeout=0)
    receiver.status = 200
    assert telemetry.flush()
    assert receiver.sums()["ml.labels"] == 1
    telemetry.shutdown()


@pytest.mark.timeout(PATIENCE / 2)
def test_shutdown_is_bounded_where_nobody_answers(receiver: Receiver) -> None:
    """An endpoint that takes the connection and then hangs can't keep the process alive."""
    telemetry = setup("ml-api", _pushing(receiver, trace_ratio=1.0))
    sdk.counter(telemetry.meter("test"), names.LABELS).add(1, {"outcome": "stored"})
    receiver.gate.clear()
    assert not telemetry.shutdown(timeout=0.2)
    receiver.gate.set()


def test_outage_makes_one_line_per_exporter(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """An hour without a Collector must not fill the disk."""
    receiver.stop()
    telemetry = setup("ml-api", _pushing(receiver))
    sdk.counter(telemetry.meter("test"), names.LABELS).add(1, {"outcome": "stored"})
    with caplog.at_level(logging.DEBUG, logger="opentelemetry"):
        assert not telemetry.flush(timeout=0.5)
    assert len([record for record in caplog.records if "export" in record.getMessage()]) == 1
    telemetry.shutdown(timeout=0.2)


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, ["work"]), (0.0, [])])
def test_traces_are_sampled_by_the_ratio(
    receiver: Receiver, ratio: float, expected: list[str]
) -> None:
    """The kept share of the traces goes out, at the latest with the end."""
    telemetry = setup("ml-api", _pushing(receiver, timeout=PATIENCE, trace_ratio=ratio))
    with telemetry.tracer("test").start_as_current_span("work"):
        pass
    telemetry.shutdown()
    assert receiver.spans() == expected


def test_without_endpoint_nothing_is_recorded_for_traces() -> None:
    """No exporter, so no cost."""
    telemetry = setup("ml-api", QUIET)
    assert not telemetry.tracer("test").start_span("work").is_recording()
    assert telemetry.flush()
    assert telemetry.shutdown()
