"""The dashboard “Container Monitoring”, from cAdvisor: under Compose only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.models import units

from testbed_grafana.assembly import assemble, containers
from testbed_grafana.panels import GREEN, RED, Query, State, graph, number, status
from testbed_grafana.promql import CONTAINER, foreign, rate, select

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from testbed_grafana.assembly import Panels

TITLE: Final = "Container Monitoring"
UID: Final = "container-monitoring"

# Seconds after which a container that cAdvisor no longer sees counts as gone.
GONE_SECONDS: Final = 60
CHOSEN: Final = f'name=~"{CONTAINER}"'


def _named(series: str) -> str:
    return select(foreign(f"container_{series}"), CHOSEN)


def _sum(series: str) -> str:
    return f"sum by (name) ({_named(series)})"


def _rate(series: str) -> str:
    return f"sum by (name) ({rate(_named(series))})"


def _both(first: str, second: str, words: tuple[str, str]) -> tuple[Query, Query]:
    return (
        Query(_rate(first), f"{words[0]} {{{{name}}}}"),
        Query(_rate(second), f"{words[1]} {{{{name}}}}"),
    )


def _state_panels() -> Panels:
    seen = f"time() - max by (name) ({_named('last_seen')})"
    return (
        status(
            "State",
            "Whether cAdvisor has seen each container within the last minute.",
            Query(f"{seen} < bool {GONE_SECONDS}", "{{name}}"),
            states={"1": State("RUNNING", GREEN), "0": State("GONE", RED)},
        ),
        number(
            "Uptime",
            "Since each container started.",
            Query(f"time() - max by (name) ({_named('start_time_seconds')})", "{{name}}"),
            unit=units.Seconds,
        ),
    )


def _resource_panels() -> Panels:
    return (
        graph(
            "Processor",
            "Processors that each container keeps busy.",
            Query(_rate("cpu_usage_seconds_total"), "{{name}}"),
            unit=units.Short,
        ),
        graph(
            "Memory",
            "Memory that each container uses, caches included, and what it can't do without.",
            Query(_sum("memory_usage_bytes"), "{{name}}"),
            Query(_sum("memory_working_set_bytes"), "working set {{name}}"),
            unit=units.BytesIEC,
        ),
        graph(
            "Network",
            "Bytes per second that each container receives and sends.",
            *_both("network_receive_bytes_total", "network_transmit_bytes_total", ("in", "out")),
            unit=units.BytesPerSecondIEC,
        ),
        graph(
            "Disk",
            "Bytes per second that each container reads and writes.",
            *_both("fs_reads_bytes_total", "fs_writes_bytes_total", ("read", "write")),
            unit=units.BytesPerSecondIEC,
        ),
    )


def build() -> Dashboard:
    """The dashboard, ready to be encoded."""
    return assemble(
        UID,
        TITLE,
        "Processor, memory, network, disk and state of each container, from cAdvisor.",
        (containers(),),
        (("State", _state_panels()), ("Resources", _resource_panels())),
    )
