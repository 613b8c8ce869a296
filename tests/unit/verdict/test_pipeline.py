"""The telemetry's evidence: raw samples of processes and Collector, joined by instance and time."""

from __future__ import annotations

from typing import Any

import httpx
from testbed.clients.prometheus import PrometheusClient
from testbed.pipeline import (
    FLOW,
    HANDLED_SPANS,
    METRIC_POINTS,
    SPANS,
    UPTIME,
    CounterReading,
    Export,
    Flow,
    Process,
    SpanCount,
    read_pipeline,
)
from testbed_otel import names

API, DRIFT = {"job": "ml-api", "instance": "api-1"}, {"job": "drift-job", "instance": "drift-1"}
COLLECTOR = {"job": "otel-collector", "instance": "collector:8888"}
ACCEPTED = "otelcol_receiver_accepted_{}_total"

# What Prometheus holds: name, labels, samples.
STORED: list[tuple[str, dict[str, str], list[tuple[float, float]]]] = [
    ("telemetry_exports_total", API, [(1.0, 1), (2.0, 2)]),
    ("telemetry_export_points_total", API, [(1.0, 10), (2.0, 25)]),
    ("telemetry_exports_total", DRIFT, [(1.5, 4)]),
    ("telemetry_export_points_total", DRIFT, [(1.5, 40)]),
    ("telemetry_export_failed_total", API | {"signal": "metrics"}, [(1.0, 0), (2.0, 30)]),
    ("telemetry_export_failures_total", API | {"signal": "metrics"}, [(1.0, 0), (2.0, 3)]),
    ("telemetry_export_failed_total", API | {"signal": "traces"}, [(1.0, 0), (2.0, 6)]),
    ("telemetry_export_spans_total", API, [(1.0, 4), (2.0, 8)]),
    (HANDLED_SPANS, API, [(2.0, 7)]),
    (HANDLED_SPANS, API | {"error_type": "queue_full"}, [(2.0, 2)]),
    (UPTIME, COLLECTOR, [(1.1, 5.0), (2.1, 6.0)]),
    (ACCEPTED.format(METRIC_POINTS), COLLECTOR | {"transport": "http"}, [(2.1, 8)]),
    (ACCEPTED.format(METRIC_POINTS), COLLECTOR | {"transport": "grpc"}, [(2.1, 1)]),
    ("otelcol_exporter_sent_metric_points_total", COLLECTOR, [(2.1, 4)]),
    ("otelcol_exporter_send_failed_metric_points_total", COLLECTOR, [(2.1, 3)]),
    ("otelcol_exporter_enqueue_failed_metric_points_total", COLLECTOR, [(2.1, 2)]),
    (ACCEPTED.format(SPANS), COLLECTOR, [(2.1, 5)]),
    ("up", COLLECTOR, [(0.1, 0), (1.1, 1), (2.1, 1)]),
]  # fmt: skip


def answer(request: httpx.Request) -> httpx.Response:
    """A Prometheus that understands these few selectors."""
    query = httpx.QueryParams(request.content.decode())["query"]
    name, _, rest = query.partition("{")
    result: list[dict[str, Any]] = [
        {"metric": labels, "values": [[time, str(value)] for time, value in samples]}
        for stored, labels, samples in STORED
        if stored == name
        and labels["job"] in rest
        and ("signal=" not in rest or f'signal="{labels.get("signal")}"' in rest)
    ]
    data = {"resultType": "matrix", "result": result}
    return httpx.Response(200, json={"status": "success", "data": data})


def test_samples_are_joined_by_instance_and_time() -> None:
    """One entry per export and per scrape; a counter that is not there yet is 0."""
    transport = httpx.MockTransport(answer)
    with PrometheusClient("http://p", transport=transport) as prometheus:
        pipeline = read_pipeline(prometheus, at=10.0, window=10.0)
    assert pipeline.processes == (
        Process(
            instance="api-1",
            exports=(
                Export(time=1.0, exports=1, points=10),
                Export(time=2.0, exports=2, points=25),
            ),
            spans=(
                SpanCount(time=1.0, ended=0, begun=4),
                SpanCount(time=2.0, ended=9, begun=8, dropped=2, failed=6),
            ),
            failed=30,
            failures=3,
        ),
        Process(instance="drift-1", exports=(Export(time=1.5, exports=4, points=40),)),
    )
    assert pipeline.readings == (
        CounterReading(time=1.1, uptime=5.0),
        CounterReading(
            time=2.1,
            uptime=6.0,
            points=Flow(accepted=9, sent=4, send_failed=3, enqueue_failed=2),
            spans=Flow(accepted=5),
        ),
    )
    assert pipeline.down == (0.1,)


def test_the_series_are_in_the_vocabulary() -> None:
    """A series that is renamed must not silently count as 0."""
    flows = {metric.format(kind) for metric in FLOW.values() for kind in (METRIC_POINTS, SPANS)}
    assert flows | {HANDLED_SPANS, UPTIME} <= set(names.FOREIGN_SERIES)
