"""The components of the stack: how each is started, and how one sees that it is ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
from testbed_domain.errors import DomainError
from testbed_domain.files import write_atomic
from testbed_load.command import web_command
from testbed_load.plan import exchange_text

from testbed.componentnames import CONSOLE, OPTIONAL
from testbed.errors import UsageError
from testbed.stack.arguments import (
    alertmanager_argv,
    collector_argv,
    node_exporter_argv,
    prometheus_argv,
)
from testbed.stack.context import StackContext
from testbed.stack.environments import (
    asking_environment,
    base_environment,
    drift_environment,
    shown_drift_environment,
)
from testbed.stack.loadtelemetry import telemetry_options
from testbed.stack.ownalertmanager import SMTP
from testbed.stack.probes import drift_not_ready, get_ok
from testbed.stack.process import ProcessRequest
from testbed.stack.prometheuspage import write_page


class Component(Protocol):
    """One component of the stack."""

    @property
    def name(self) -> str:
        """Its name, as in the architecture page."""

    def request(self, context: StackContext) -> ProcessRequest:
        """The process to start."""

    def not_ready(self, context: StackContext) -> str | None:
        """Why it is not ready yet, or None when it is."""


@dataclass(frozen=True, slots=True)
class ProgramComponent:
    """A component that is one process and one probe."""

    name: str
    argv: Callable[[StackContext], list[str]]
    probe: Callable[[StackContext], str | None]
    env: Callable[[StackContext], dict[str, str]] = lambda _: {}
    cwd: Callable[[StackContext], Path] = lambda c: c.layout.root

    def request(self, context: StackContext) -> ProcessRequest:
        """The process to start, with the caller's environment and the component's own."""
        return ProcessRequest(
            name=self.name,
            argv=tuple(self.argv(context)),
            log=context.layout.logs / f"{self.name}.log",
            env=base_environment() | self.env(context),
            cwd=self.cwd(context),
        )

    def not_ready(self, context: StackContext) -> str | None:
        """Ask the probe."""
        try:
            return self.probe(context)
        except (httpx.HTTPError, DomainError) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")


def evidently_ui() -> Component:
    """Evidently's UI on the runs of the drift job, as ``testbed up`` starts it."""
    return ProgramComponent(
        "evidently",
        lambda c: [
            *(sys.executable, "-m", "testbed_drift", "ui"),
            *("--workspace", str(c.layout.workspace.resolve())),
            *("--port", c.port("evidently:8085")),
        ],
        get_ok("evidently:8085", "/api/version"),
    )


def console(*, control: bool) -> Component:
    """The console.

    Args:
        control: whether something can be started and stopped there.
    """
    return ProgramComponent(
        CONSOLE,
        lambda c: [
            *(sys.executable, "-m", "testbed.consoleapp", "--port", c.port("console:9070")),
            *("--run", str(c.layout.root), "--runs", str(c.settings.runs.resolve())),
            *(["--control"] if control else []),
        ],
        get_ok("console:9070", "/health/ready"),
        # What it plays is called as its caller would.
        lambda _: dict(os.environ) if control else {},
        lambda c: Path.cwd() if control else c.layout.root,
    )


def locust_web_ui() -> Component:
    """Locust with its web UI, as ``testbed up`` starts it."""
    return ProgramComponent(
        "locust",
        lambda c: web_command(
            c.target.load_url(c),
            port=int(c.port("locust:8089")),
            use_case=c.use_case,
            artefact=c.layout.model,
            exchange=_exchange(c),
            processes=c.settings.load_processes,
            further=telemetry_options(c),
        ),
        get_ok("locust:8089", "/"),
        asking_environment,
    )


def _exchange(context: StackContext) -> Path | None:
    """The file by which the web UI knows how a service is asked."""
    exchange = context.target.exchange()
    if exchange is None:
        return None
    write_atomic(context.layout.load_exchange, exchange_text(exchange))
    return context.layout.load_exchange


def _is_aws(variable: str) -> bool:
    """Of whom SNS would be in the caller's name, and by what it would be found."""
    return variable.startswith("AWS_")


def _messages(context: StackContext) -> list[str]:
    """Of a run with an Alertmanager configuration of its user's own."""
    if SMTP not in context.endpoints:
        return []
    messages = str(context.layout.messages.resolve())
    return ["--messages", messages, "--smtp-port", context.port(SMTP)]


def _page(context: StackContext) -> list[str]:
    """Where its page leads: to the console, which shows the same and more."""
    shown = context.endpoints.get("console:9070")
    return [] if shown is None else ["--page", f"http://{shown}/"]


def refuse_needed(without: frozenset[str]) -> None:
    """Refuse to leave out what no run can do without.

    Raises:
        UsageError: one of them is unknown, or needed.
    """
    if wrong := sorted(without - set(OPTIONAL)):
        raise UsageError(
            f"a run needs {', '.join(wrong)}; --without may name: {', '.join(OPTIONAL)}"
        )


def stack_components(
    target: Sequence[Component], without: frozenset[str] = frozenset(), *, web_ui: bool = False
) -> list[Component]:
    """The components in their order of start.

    Args:
        target: those of the system under test.
        without: names of those that are left out.
        web_ui: with the web UIs of Locust and Evidently, and a console that can start something.

    Raises:
        UsageError: a component that is unknown, or that no run can do without.
    """
    refuse_needed(without)
    shown = web_ui and not without & {"drift", "evidently"}
    components: list[Component] = [
        ProgramComponent("collector", collector_argv, get_ok("collector:13133", "/")),
        ProgramComponent(
            "prometheus",
            prometheus_argv,
            get_ok("prometheus:9090", "/-/ready"),
            cwd=lambda c: write_page(c.layout, c.endpoints),
        ),
        ProgramComponent(
            "alertmanager",
            alertmanager_argv,
            get_ok("alertmanager:9093", "/-/ready"),
            lambda _: dict.fromkeys(filter(_is_aws, os.environ), ""),
        ),
        ProgramComponent(
            "node_exporter", node_exporter_argv, get_ok("node_exporter:9100", "/metrics")
        ),
        ProgramComponent(
            "receiver",
            lambda c: [
                *(sys.executable, "-m", "testbed_receiver"),
                *("--host", "127.0.0.1", "--port", c.port("receiver:9080")),
                *("--out", str(c.layout.notifications.resolve())),
                *("--traces", str(c.layout.traces.resolve())),
                *("--log-records", str(c.layout.log_records.resolve())),
                *_messages(c),
                *_page(c),
            ],
            get_ok("receiver:9080", "/health/ready"),
        ),
        *target,
        ProgramComponent(
            "drift",
            lambda _: [sys.executable, "-m", "testbed_drift", "watch"],
            drift_not_ready,
            shown_drift_environment if shown else drift_environment,
        ),
    ]
    components.append(console(control=web_ui))
    if shown:
        components.append(evidently_ui())
    if web_ui:
        components.append(locust_web_ui())
    return [component for component in components if component.name not in without]
