"""Names of the components of a stack: in the timeline, logs, faults, assertions and options."""

from __future__ import annotations

from typing import Final, Literal, get_args

from testbed_otel import names

PipelineName = Literal[
    "collector", "prometheus", "alertmanager", "node_exporter", "receiver", "drift"
]
"""Processes of every stack, beside the target."""

LoggingName = Literal["api", PipelineName, "load"]
"""What has a log in a run of the bundled API."""

CONSOLE: Final = "console"
"""The page of every native stack."""

WEB_UIS: Final = ("evidently", "locust")
"""Of ``testbed up`` only."""

PIPELINE: Final[tuple[str, ...]] = get_args(PipelineName)
LOGGING: Final[tuple[str, ...]] = get_args(LoggingName)

COMPONENTS: Final = tuple(name for name in LOGGING if name != "load")
"""Of a stack of the bundled API."""

TAKEN: Final = frozenset({*LOGGING, CONSOLE, *WEB_UIS})
"""What no other service may be called."""

OPTIONAL: Final = (*(name for name in PIPELINE if name != "prometheus"), CONSOLE, "evidently")
"""What ``--without`` may name."""

SCRAPED: Final = {
    names.JOB_COLLECTOR: "collector",
    names.JOB_NODE: "node_exporter",
    names.JOB_ALERTMANAGER: "alertmanager",
    names.JOB_PROMETHEUS: "prometheus",
}
"""What Prometheus scrapes beside the target: job to the component that it shows."""
