"""Names of the components of a stack: in the timeline, logs, faults, assertions and options."""

from __future__ import annotations

from typing import Final, Literal, get_args

from testbed_otel import names
from testbed_otel.aliases import JOBS

PipelineName = Literal[
    "collector", "prometheus", "alertmanager", "node_exporter", "receiver", "drift"
]
"""Processes of every stack, beside the target."""

LoggingName = Literal["api", PipelineName, "load"]
"""What has a log in a run of the bundled API."""

AskingName = Literal["load", "api", "collector", "prometheus", "alertmanager"]
"""Who asks over a link that a scenario can disturb."""

AskedName = Literal[
    "api", "target", "collector", "prometheus", "alertmanager", "receiver", "database"
]
"""Who is asked over one."""

API: Final = "api"
"""The bundled API, as its target calls it."""

LOAD: Final = "load"
"""Locust, which sends the requests."""

DATABASE: Final = "database"
"""PostgreSQL of the prediction log, in a run that has its own."""

TARGET: Final = "target"
"""The system under test, whichever that is, as the load asks it."""

CONSOLE: Final = "console"
"""The page of every native stack."""

WEB_UIS: Final = ("evidently", "locust")
"""Of ``testbed up`` only."""

PIPELINE: Final[tuple[str, ...]] = get_args(PipelineName)
LOGGING: Final[tuple[str, ...]] = get_args(LoggingName)

COMPONENTS: Final = tuple(name for name in LOGGING if name != LOAD)
"""Of a stack of the bundled API."""

TAKEN: Final = frozenset({*LOGGING, CONSOLE, *WEB_UIS, DATABASE})
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

JOBS_TAKEN: Final = frozenset({names.JOB_API, *SCRAPED, "cadvisor"})
"""Scrape jobs of ``prometheus/prometheus.yml``: what no job of a service may be called."""

_OWN_JOBS: Final = {names.JOB_API: API, **SCRAPED}

BY_JOB: Final = _OWN_JOBS | {
    other: _OWN_JOBS[job] for jobs in JOBS.values() for job, other in jobs.items()
}
"""The same with the API, and under the names that other systems give their jobs."""


def component_of(job: str, service: str | None = None) -> str:
    """Component that a scrape job shows; empty where none does.

    Args:
        job: name of the job.
        service: the system under test where it is not the bundled API: all other jobs are its own.
    """
    found = BY_JOB.get(job, "")
    return service if service is not None and found in {"", API} else found


SERVICES: Final = {API: names.SERVICE_API, "drift": names.SERVICE_DRIFT}
"""Components that export log records, and the service names that these bear."""
