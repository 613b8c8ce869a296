"""Command lines of the compiled programs, with their durations scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from testbed_rules.timescale import TimeScale

from testbed.layout import RunLayout
from testbed.stack.addresses import CONSOLE
from testbed.stack.configuration import _PROMETHEUS, NativeConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Flags with a duration, at their production values, which are the programs' own defaults.
PROMETHEUS_DURATIONS: Final = {
    "query.lookback-delta": "5m",
    "rules.alert.for-grace-period": "10m",
    "rules.alert.for-outage-tolerance": "1h",
    "rules.alert.resend-delay": "1m",
    # Hidden from its help: how long new scrape targets wait, which a short run would notice.
    "scrape.discovery-reload-interval": "5s",
}

# Keeps the trace ids that histograms carry, so that a panel leads to the trace of a slow request.
PROMETHEUS_FEATURES: Final = ("--enable-feature=exemplar-storage",)

ALERTMANAGER_DURATIONS: Final = {"dispatch.maintenance-interval": "30s"}

NODE_COLLECTORS: Final = (
    *("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev"),
    "textfile",  # shows what runs of the drift job leave
)
"""What node_exporter measures: scaled scrapes come often, and its defaults cost too much then."""


class _Programs(Protocol):
    """Where the compiled programs are."""

    def path(self, name: str) -> Path:
        """Path of a program."""


class Launch(Protocol):
    """What a command line is made of."""

    @property
    def tools(self) -> _Programs:
        """The programs."""

    @property
    def layout(self) -> RunLayout:
        """Files of the run."""

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Compose address to ``127.0.0.1:port``."""

    @property
    def configuration(self) -> NativeConfiguration:
        """Rendered configuration files."""

    @property
    def factor(self) -> float:
        """Time scale."""


def prometheus_argv(launch: Launch) -> list[str]:
    """Command line of Prometheus."""
    return [
        str(launch.tools.path("prometheus")),
        f"--config.file={launch.configuration.prometheus}",
        f"--storage.tsdb.path={launch.layout.data / 'prometheus'}",
        f"--web.listen-address={launch.endpoints[_PROMETHEUS]}",
        "--web.enable-otlp-receiver",
        *PROMETHEUS_FEATURES,
        # A run's stays as it was started; of ``up`` whoever changes a rule may have it read.
        *([] if (intake := launch.configuration.intake) else ["--web.enable-lifecycle"]),
        f"--web.route-prefix=/{intake}",
        *_pages(launch),
        *_scaled_flags(PROMETHEUS_DURATIONS, launch.factor),
    ]


def _pages(launch: Launch) -> list[str]:
    """Where its links lead: the compiled program has no pages of its own, but the console has.

    Their path is that below which it answers: it sends who asks for `/` to its first page there.
    """
    console, intake = launch.endpoints.get(CONSOLE), launch.configuration.intake
    if console is None and not intake:
        return []
    return [f"--web.external-url=http://{console or launch.endpoints[_PROMETHEUS]}/{intake}"]


def alertmanager_argv(launch: Launch) -> list[str]:
    """Command line of Alertmanager, alone: without a cluster it listens on one port only."""
    return [
        str(launch.tools.path("alertmanager")),
        f"--config.file={launch.configuration.alertmanager}",
        f"--storage.path={launch.layout.data / 'alertmanager'}",
        f"--web.listen-address={launch.endpoints['alertmanager:9093']}",
        "--cluster.listen-address=",
        *_scaled_flags(ALERTMANAGER_DURATIONS, launch.factor),
    ]


def collector_argv(launch: Launch) -> list[str]:
    """Command line of the Collector."""
    return [
        str(launch.tools.path("otelcol")),
        f"--config=file:{launch.configuration.collector}",
    ]


def node_exporter_argv(launch: Launch) -> list[str]:
    """Command line of node_exporter."""
    return [
        str(launch.tools.path("node_exporter")),
        f"--web.listen-address={launch.endpoints['node_exporter:9100']}",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in NODE_COLLECTORS),
        f"--collector.textfile.directory={launch.layout.textfiles}",
    ]


def _scaled_flags(durations: Mapping[str, str], factor: float) -> list[str]:
    scale = TimeScale(factor)
    return [f"--{flag}={scale.duration(value)}" for flag, value in durations.items()]
