"""What goes wrong between the instruments and Prometheus."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.checks.stages import Stage
from testbed.planting import Act, Planting
from testbed.selftest import edits
from testbed.selftest.defect import Defect
from testbed.selftest.defects.patched import patched

if TYPE_CHECKING:
    from testbed.selftest.edits import Edit, Tree

_make = patched("api", "export", "quick", Stage.EXPORT)


def _half_refused(tree: Tree) -> None:
    # Far less than the Collector needs, so that it refuses what comes in.
    tree["processors"]["memory_limiter"] = {
        "check_interval": "100ms", "limit_mib": 20, "spike_limit_mib": 10,
    }  # fmt: skip


def _stopped_for(seconds: float, component: str, after: float) -> tuple[Act, ...]:
    return (
        Act(after, component, lambda pid: os.kill(pid, signal.SIGSTOP)),
        Act(after + seconds, component, lambda pid: os.kill(pid, signal.SIGCONT)),
    )


def _source(name: str, what: str, folder: str, edit: Edit, stage: Stage) -> Defect:
    """A defect of the configuration that a run is made of."""
    return Defect(name, what, "quick", (stage,), Planting(source=edits.below(folder, edit)))


def _scraped_seldom(tree: Tree) -> None:
    tree["global"]["scrape_interval"] = "1m"


def _queue_dropped(tree: Tree) -> None:
    for job in tree["scrape_configs"]:
        if job["job_name"] == names.JOB_COLLECTOR:
            job["metric_relabel_configs"] = [
                {
                    "action": "drop",
                    "source_labels": ["__name__"],
                    "regex": "otelcol_exporter_queue.*",
                }
            ]


def _held_back(tree: Tree) -> None:
    queue = tree["exporters"]["otlp_http/prometheus"]["sending_queue"]
    queue["batch"]["flush_timeout"] = "90s"


TELEMETRY: Final = (
    _make("predictions_too_few", "The counter of predictions is exported 3 % too small."),
    _make("exports_lost", "One export of metrics in ten is dropped and counts as sent."),
    _make("exports_stop", "After forty exports no more metrics are sent."),
    _make("spans_lost", "Every third export of spans is dropped and counts as sent."),
    Defect(
        "collector-refuses",
        "The Collector's memory limit makes it refuse what comes in.",
        "quick",
        (Stage.COLLECTOR, Stage.EXPORT),
        Planting(edit=edits.collector(_half_refused)),
    ),
    Defect(
        "collector-frozen",
        "The Collector stands still for 12 seconds.",
        "quick",
        (Stage.COLLECTOR,),
        Planting(acts=_stopped_for(12.0, "collector", 5.0)),
    ),
    Defect(
        "prometheus-frozen",
        "Prometheus stands still for 12 of 20 seconds.",
        "quick",
        (Stage.PROMETHEUS,),
        Planting(acts=_stopped_for(12.0, "prometheus", 4.0)),
    ),
    _source(
        "collector-holds-back",
        "The Collector gathers points for a minute and a half.",
        "otel",
        edits.collector(_held_back),
        Stage.COLLECTOR,
    ),
    _source(
        "prometheus-scrapes-seldom",
        "Prometheus scrapes once a minute, as long as the `for` of an alert.",
        "prometheus",
        edits.prometheus(_scraped_seldom),
        Stage.PROMETHEUS,
    ),
    _source(
        "prometheus-drops-a-metric",
        "Prometheus drops a metric of the Collector that a rule asks for.",
        "prometheus",
        edits.prometheus(_queue_dropped),
        Stage.PROMETHEUS,
    ),
)
