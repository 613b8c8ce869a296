"""The telemetry's own way: what each process exported and when, and what the Collector counted.

Everything comes out of Prometheus, as raw samples: those of a process carry the time of the export
that brought them, those of the Collector the time of a scrape.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.clients.prometheus import PrometheusClient, Series

PROCESSES: Final = f'job=~"{names.SERVICE_API}|{names.SERVICE_DRIFT}|{names.SERVICE_LOAD}"'
COLLECTOR: Final = f'job="{names.JOB_COLLECTOR}"'
HANDLED_SPANS: Final = "otel_sdk_processor_span_processed_total"
UPTIME: Final = "otelcol_process_uptime_seconds_total"
METRIC_POINTS, SPANS = "metric_points", "spans"
# What the Collector counts of each kind of item.
FLOW: Final = {
    "accepted": "otelcol_receiver_accepted_{}_total",
    "sent": "otelcol_exporter_sent_{}_total",
    "send_failed": "otelcol_exporter_send_failed_{}_total",
    "enqueue_failed": "otelcol_exporter_enqueue_failed_{}_total",
}


class Export(StoredModel):
    """One export of metrics that Prometheus holds; the counters are those of its process so far.

    Attributes:
        time: Unix time at which the metrics were collected.
        exports: exports that the process began, this one included.
        points: metric points in them.
    """

    time: float
    exports: int
    points: int


class SpanCount(StoredModel):
    """What a process said of its spans with one export of metrics.

    Attributes:
        time: Unix time.
        ended: spans whose export is over, or that were dropped.
        begun: spans whose export began.
        dropped: those that found the queue full.
        failed: those of failed exports.
    """

    time: float
    ended: int
    begun: int = 0
    dropped: int = 0
    failed: int = 0


class Process(StoredModel):
    """One process that exports.

    Attributes:
        instance: its ``service.instance.id``.
        exports: what Prometheus holds, by time.
        spans: the same of spans; empty where it exports none.
        failed: points of failed exports, as of the last one that arrived.
        failures: failed exports of points, as of then.
    """

    instance: str
    exports: tuple[Export, ...] = ()
    spans: tuple[SpanCount, ...] = ()
    failed: int = 0
    failures: int = 0

    @property
    def component(self) -> str:
        """The component that it is of."""
        return self.instance.partition("-")[0]


class Flow(StoredModel):
    """What the Collector has counted of one kind of item since it started."""

    accepted: int = 0
    sent: int = 0
    send_failed: int = 0
    enqueue_failed: int = 0


class CounterReading(StoredModel):
    """The Collector's counters at one scrape.

    Attributes:
        time: Unix time.
        uptime: seconds since the Collector started.
        points: metric points.
        spans: spans.
    """

    time: float
    uptime: float
    points: Flow = Flow()
    spans: Flow = Flow()


class Pipeline(StoredModel):
    """All of it.

    Attributes:
        processes: one per instance.
        readings: of the Collector, by time.
        down: times of scrapes that the Collector did not answer.
    """

    processes: tuple[Process, ...] = ()
    readings: tuple[CounterReading, ...] = ()
    down: tuple[float, ...] = ()


def read_pipeline(prometheus: PrometheusClient, *, at: float, window: float) -> Pipeline:
    """Ask Prometheus for all of the ``window`` seconds before ``at``.

    Raises:
        StackError: Prometheus does not answer.
    """

    def raw(metric: str, labels: str) -> list[Series]:
        return prometheus.raw(f"{metric}{{{labels}}}", at=at, window=window)

    exports = _by_instance(raw(names.TELEMETRY_EXPORTS.prometheus, PROCESSES))
    points = _by_instance(raw(names.TELEMETRY_EXPORT_POINTS.prometheus, PROCESSES))
    of_metrics, of_traces = (
        f'{PROCESSES},{names.label(names.SIGNAL)}="{signal}"' for signal in ("metrics", "traces")
    )
    failed = _by_instance(raw(names.TELEMETRY_EXPORT_FAILED.prometheus, of_metrics))
    failures = _by_instance(raw(names.TELEMETRY_EXPORT_FAILURES.prometheus, of_metrics))
    lost_spans = _by_instance(raw(names.TELEMETRY_EXPORT_FAILED.prometheus, of_traces))
    # Reported from the start on; what the SDK says of spans begins with the first ones.
    begun = _by_instance(raw(names.TELEMETRY_EXPORT_SPANS.prometheus, PROCESSES))
    handled = raw(HANDLED_SPANS, PROCESSES)
    ended = _by_instance(handled)
    dropped = _by_instance(each for each in handled if each.labels.get("error_type"))
    processes = (
        Process(
            instance=instance,
            exports=tuple(
                Export(time=time, exports=count, points=points[instance].get(time, 0))
                for time, count in found.items()
            ),
            spans=tuple(
                SpanCount(
                    time=time,
                    ended=ended[instance].get(time, 0),
                    begun=count,
                    dropped=dropped[instance].get(time, 0),
                    failed=lost_spans[instance].get(time, 0),
                )
                for time, count in begun[instance].items()
            ),
            failed=_last(failed[instance]),
            failures=_last(failures[instance]),
        )
        for instance, found in sorted(exports.items())
    )
    flows = {
        kind: {
            field: _summed(raw(metric.format(kind), COLLECTOR)) for field, metric in FLOW.items()
        }
        for kind in (METRIC_POINTS, SPANS)
    }

    def flow(kind: str, time: float) -> Flow:
        return Flow(**{field: values.get(time, 0) for field, values in flows[kind].items()})

    readings = (
        CounterReading(
            time=time, uptime=uptime, points=flow(METRIC_POINTS, time), spans=flow(SPANS, time)
        )
        for series in raw(UPTIME, COLLECTOR)
        for time, uptime in series.points
    )
    up = raw("up", COLLECTOR)
    return Pipeline(
        processes=tuple(processes),
        readings=tuple(sorted(readings, key=lambda reading: reading.time)),
        down=tuple(sorted(time for each in up for time, value in each.points if not value)),
    )


def _summed(series: Iterable[Series]) -> dict[float, int]:
    """Values by time, added up over the series, in order of time."""
    found: defaultdict[float, float] = defaultdict(float)
    for each in series:
        for time, value in each.points:
            found[time] += value
    return {time: round(value) for time, value in sorted(found.items())}


def _by_instance(series: Iterable[Series]) -> defaultdict[str, dict[float, int]]:
    groups: defaultdict[str, list[Series]] = defaultdict(list)
    for each in series:
        groups[each.labels.get("instance", "")].append(each)
    return defaultdict(dict, {instance: _summed(found) for instance, found in groups.items()})


def _last(values: dict[float, int]) -> int:
    return list(values.values())[-1] if values else 0
