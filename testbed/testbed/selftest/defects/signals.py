"""What is wrong with spans, log records and dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.stages import Stage
from testbed.planting import Planting
from testbed.selftest import edits
from testbed.selftest.defect import Defect
from testbed.selftest.defects.patched import patched

if TYPE_CHECKING:
    from testbed.selftest.edits import Tree

_make = patched("api", "signals", "quick", Stage.INSTRUMENT)


def _traces_nowhere(tree: Tree) -> None:
    tree["exporters"]["debug/planted"] = {}
    tree["service"]["pipelines"]["traces"]["exporters"] = ["debug/planted"]


def _panel(name: str, what: str, *edit: str) -> Defect:
    planting = Planting(edit=edits.panel(*edit))
    return Defect(f"panel-{name}", what, "quick", (Stage.DASHBOARD,), planting)


SIGNALS: Final = (
    _make("nothing_sampled", "No request is sampled, whatever the ratio says."),
    _make("names_wrong", "Spans bear the path in place of method and route."),
    _make("durations_zero", "Spans end when they began."),
    _make("status_never_error", "Spans of failed requests bear no error.", scenario="quick-errors"),
    _make(
        "records_without_trace",
        "Log records don't bear the trace of their request.",
        scenario="quick-errors",
    ),
    _make(
        "records_left_out",
        "One request in ten has no record in the access log.",
        scenario="quick-errors",
    ),
    _make(
        "half_sampled",
        "Half as many requests are sampled as the ratio says.",
        scenario="quick-errors",
    ),
    _make(
        "records_debug",
        "Records of the access log bear the severity DEBUG.",
        scenario="quick-errors",
    ),
    Defect(
        "signals-ratio-zero",
        "The API is asked to sample no request.",
        "quick",
        (Stage.INSTRUMENT,),
        Planting(environment={"api": {"OTEL_TRACES_SAMPLER_ARG": "0"}}),
    ),
    Defect(
        "collector-drops-spans",
        "The Collector takes spans and sends them nowhere.",
        "quick",
        (Stage.COLLECTOR,),
        Planting(edit=edits.collector(_traces_nowhere)),
    ),
    _panel(
        "matcher",
        "A panel selects an outcome that there is not.",
        *("ml-model-metrics", "Accuracy", 'outcome="correct"', 'outcome="corect"'),
    ),
    _panel(
        "job",
        "A panel selects another job.",
        *("system-overview", "Requests", 'job="ml-api"', 'job="ml-api-2"'),
    ),
    _panel(
        "grouping",
        "A panel groups by a label that there is not.",
        *("api-performance", "Requests per Endpoint", "http_route", "route"),
    ),
    _panel(
        "metric",
        "A panel shows a metric that there is not.",
        *("ml-api-monitoring", "Active Requests", "active_requests", "requests_active"),
    ),
    _panel(
        "syntax",
        "A panel's query has no valid PromQL.",
        *("api-performance", "Requests per Status", "sum by", "summ by"),
    ),
    _panel(
        "value",
        "A panel shows an increase in place of a rate.",
        *("api-performance", "Requests per Endpoint", "rate(", "increase("),
    ),
    _panel(
        "quantile",
        "A panel of the 95th percentile shows the median.",
        *("api-performance", "Latency p95 per Endpoint", "0.95", "0.5"),
    ),
    _panel(
        "status",
        "A panel of failed requests shows those that were refused.",
        *("system-overview", "Failed Requests", "5..", "4.."),
    ),
    _panel(
        "inverted",
        "A panel of the processor's load shows how idle it is.",
        *("system-overview", "Processor", "1 - avg", "avg"),
    ),
)
