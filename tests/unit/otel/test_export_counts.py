"""What a process says of its own exports: enough to find every point again, and the last ones."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest
from testbed_otel import names
from testbed_otel.otlplogs import otlp_logs
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup
from testbed_otel.settings import SDK_METRICS, enable_sdk_self_metrics

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    from tests.support.otlpreceiver import Receiver

EXPORTED = "otel_sdk_exporter_metric_data_point_exported_total"


@pytest.fixture
def telemetry(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    """Pushes on flush only, the SDK's metrics about itself on."""
    monkeypatch.setenv(SDK_METRICS, "true")
    settings = TelemetrySettings(receiver.url, math.inf, export_timeout=2.0, trace_ratio=1.0)
    made = setup("ml-api", settings)
    made.sums(made.meter("test"), names.LABELS).add(1, {names.OUTCOME: "stored"})
    made.histogram(made.meter("test"), names.MODEL_INFERENCE).record(0.1)
    return made


def points(request: ExportMetricsServiceRequest) -> int:
    """Points of one export, counted as the Collector does."""
    return sum(
        len(getattr(metric, metric.WhichOneof("data")).data_points)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def scraped(telemetry: Telemetry, name: str, label: str = "error_type") -> dict[str, float]:
    """Values of a counter on ``/metrics`` by one of its labels."""
    return {
        sample.labels.get(label, ""): sample.value
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_each_export_counts_itself(receiver: Receiver, telemetry: Telemetry) -> None:
    """The sums that an export carries hold its own points, so the last one is known as well."""
    assert names.TELEMETRY_EXPORTS.prometheus not in {f.name for f in telemetry.registry.collect()}
    for number in (1, 2, 3):
        assert telemetry.flush()
        assert len(receiver.metrics) == number
        sums = receiver.sums()
        assert sums[names.TELEMETRY_EXPORTS.name] == number
        assert sums[names.TELEMETRY_EXPORT_POINTS.name] == sum(map(points, receiver.metrics))
    telemetry.shutdown()
    assert receiver.sums()[names.TELEMETRY_EXPORT_POINTS.name] == sum(map(points, receiver.metrics))


def test_both_readers_show_the_exports(receiver: Receiver, telemetry: Telemetry) -> None:
    """A scrape shows what the last export said, and does not count as one."""
    telemetry.flush()
    for _ in range(2):
        shown = scraped(telemetry, names.TELEMETRY_EXPORT_POINTS.prometheus)
        assert shown == {"": receiver.sums()[names.TELEMETRY_EXPORT_POINTS.name]}
    telemetry.shutdown()


def test_what_could_not_be_exported_is_counted(receiver: Receiver, telemetry: Telemetry) -> None:
    """Taken and failed points add up to what the exports held; a refusal by status counts too."""
    failed = names.TELEMETRY_EXPORT_FAILED.prometheus
    assert telemetry.flush()
    receiver.status = 400  # no retry
    assert not telemetry.flush(timeout=0)
    refused = scraped(telemetry, failed, "signal")["metrics"]
    assert refused > 0
    receiver.stop()
    assert not telemetry.flush(timeout=0)
    receiver.start()
    receiver.status = 200
    assert telemetry.flush()
    lost = scraped(telemetry, failed, "signal")["metrics"]
    assert lost > refused
    offered = scraped(telemetry, names.TELEMETRY_EXPORT_POINTS.prometheus)[""]
    assert offered == sum(map(points, receiver.metrics)) + lost
    assert sum(scraped(telemetry, EXPORTED).values()) == offered
    failures = names.TELEMETRY_EXPORT_FAILURES.prometheus
    assert scraped(telemetry, failures, "signal") == {"metrics": 2, "traces": 0}
    telemetry.shutdown()


def test_lost_spans_and_log_records_are_counted(receiver: Receiver) -> None:
    """By signal, so that each hop has its own reason."""
    settings = TelemetrySettings(receiver.url, math.inf, export_timeout=PATIENCE, trace_ratio=1.0)
    telemetry = setup("ml-api", settings)
    logs = otlp_logs(telemetry, settings)
    assert logs is not None
    receiver.status = 400
    for _ in range(3):
        telemetry.tracer("test").start_span("work").end()
    logs.access({"route": "/predict"})
    telemetry.tracers.force_flush()
    logs.shutdown()
    shown = scraped(telemetry, names.TELEMETRY_EXPORT_FAILED.prometheus, "signal")
    assert shown == {"traces": 3, "logs": 1, "metrics": 0}
    shown = scraped(telemetry, names.TELEMETRY_EXPORT_FAILURES.prometheus, "signal")
    assert shown == {"traces": 1, "logs": 1, "metrics": 0}
    receiver.status = 200
    telemetry.shutdown()


def test_spans_are_counted_before_they_leave(receiver: Receiver) -> None:
    """Whoever received them may count them before the exporter has its answer."""
    settings = TelemetrySettings(receiver.url, math.inf, export_timeout=PATIENCE, trace_ratio=1.0)
    telemetry = setup("ml-api", settings)
    name = names.TELEMETRY_EXPORT_SPANS.prometheus
    assert scraped(telemetry, name) == {"": 0}
    for _ in range(3):
        telemetry.tracer("test").start_span("work").end()
    receiver.gate.clear()
    flushing = threading.Thread(target=telemetry.tracers.force_flush)
    flushing.start()
    assert receiver.held.wait(PATIENCE)
    assert scraped(telemetry, name) == {"": 3}
    receiver.gate.set()
    flushing.join(PATIENCE)
    telemetry.shutdown()


def test_durations_of_the_sdk_have_buckets_in_seconds(telemetry: Telemetry) -> None:
    """Its default buckets would put every export into the first one."""
    telemetry.flush()
    bounds = {
        float(sample.labels["le"])
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == "otel_sdk_exporter_operation_duration_seconds_bucket"
    }
    assert bounds == {*names.DURATION_BUCKETS, math.inf}
    telemetry.shutdown()


def test_the_sdk_measures_itself_unless_reported_otherwise() -> None:
    """The processes turn it on; a user's own word goes first."""
    environ: dict[str, str] = {}
    enable_sdk_self_metrics(environ)
    assert environ == {SDK_METRICS: "true"}
    environ = {SDK_METRICS: "false"}
    enable_sdk_self_metrics(environ)
    assert environ == {SDK_METRICS: "false"}


def test_series_of_the_sdk_are_in_the_vocabulary(telemetry: Telemetry) -> None:
    """Rules and checks may use them, so every name that the SDK gives stands there."""
    with telemetry.tracer("test").start_as_current_span("work"):
        telemetry.flush()
    found = {
        sample.name
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name.startswith("otel_sdk")
    }
    assert EXPORTED in found
    assert found <= set(names.FOREIGN_SERIES)
    telemetry.shutdown()
