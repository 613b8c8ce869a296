"""The dashboard “System Overview”: what is up, what fires, and the machine below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units
from testbed_otel import names

from testbed_grafana.assembly import assemble, firing_alerts, replicas
from testbed_grafana.ml_api_monitoring import HTTP_COUNT, status_panels
from testbed_grafana.panels import Query, graph, number
from testbed_grafana.promql import API_TARGET, failed_ratio, foreign, quantile, rate, select

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from testbed_grafana.assembly import Panels

TITLE: Final = "System Overview"
UID: Final = "system-overview"

# Under whichever system's name the machine is scraped (TESTBED_JOB_NAMES).
NODE: Final = f'job=~"{names.JOB_NODE}|node-exporter"'


def _service_panels() -> Panels:
    requests = f"sum({rate(select(HTTP_COUNT, *API_TARGET))})"
    return (
        *status_panels(),
        number(
            "Firing Alerts",
            "Alerts that fire now.",
            Query(f"count({firing_alerts()}) or vector(0)", "alerts"),
            unit=units.Short,
        ),
        number(
            "Targets Down",
            "Parts that Prometheus can't reach.",
            Query(f"count({foreign('up')} == 0) or vector(0)", "targets"),
            unit=units.Short,
        ),
        graph(
            "Requests",
            "Requests per second that the API answered.",
            Query(requests, "requests"),
            unit=units.RequestsPerSecond,
        ),
        graph(
            "Failed Requests",
            "Share of the requests that were answered with 5xx.",
            Query(failed_ratio(names.HTTP_DURATION, "5..", *API_TARGET), "5xx"),
            unit=units.PercentUnit,
        ),
        graph(
            "Latency p95",
            "Time that 95 % of the requests stay below.",
            Query(quantile(0.95, names.HTTP_DURATION, *API_TARGET), "p95"),
            unit=units.Seconds,
        ),
        graph(
            "Share of Drifted Columns",
            "As the last run of the drift job found it.",
            Query(f"max({names.DRIFT_RATIO.prometheus})", "ratio"),
            unit=units.PercentUnit,
        ),
    )


def _machine_panels() -> Panels:
    idle = rate(select(foreign("node_cpu_seconds_total"), NODE, 'mode="idle"'))
    free, size = (
        select(foreign(f"node_filesystem_{what}_bytes"), NODE) for what in ("avail", "size")
    )
    available, memory = (
        select(foreign(f"node_memory_{what}_bytes"), NODE) for what in ("MemAvailable", "MemTotal")
    )
    return (
        graph(
            "Processor",
            "Share of the processors' time that is not idle.",
            Query(f"1 - avg by (instance) ({idle})", "{{instance}}"),
            unit=units.PercentUnit,
        ),
        graph(
            "Memory",
            "Share of the memory that can't be had without swapping.",
            Query(f"1 - {available} / {memory}", "{{instance}}"),
            unit=units.PercentUnit,
        ),
        graph(
            "Disk",
            "Share of each file system that is full.",
            Query(f"1 - {free} / {size}", "{{mountpoint}}"),
            unit=units.PercentUnit,
        ),
        graph(
            "Network",
            "Bytes per second that each device receives and sends.",
            *(
                Query(
                    rate(select(foreign(f"node_network_{what}_bytes_total"), NODE)),
                    f"{word} {{{{device}}}}",
                )
                for what, word in (("receive", "in"), ("transmit", "out"))
            ),
            unit=units.BytesPerSecondIEC,
        ),
    )


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "What is up, what fires, and the machine below.",
        (replicas(),),
        (("Service", _service_panels()), ("Machine", _machine_panels())),
    )
