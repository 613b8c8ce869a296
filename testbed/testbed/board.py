"""Shows a run while it goes on: a live board on a terminal, one line per event elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from testbed.schedule import ScheduledAction
from testbed.timeline import Event
from testbed.watch import WatchView

SHOWN_EVENTS = 8
STYLES = {
    "component_crashed": "bold red",
    "replica_crashed": "bold red",
    "fault_on": "red",
    "fault_off": "green",
    "phase_started": "bold",
    "component_stopped": "yellow",
    "component_gone": "yellow",
}
TEXTS = {
    "run_started": "run {name}",
    "component_started": "{name} started",
    "component_ready": "{name} ready",
    "component_stopped": "{name} stopped",
    "component_crashed": "{name} crashed",
    "component_gone": "{name} gone",
    "component_back": "{name} back",
    "replica_started": "replica {name} started",
    "replica_ready": "replica {name} ready",
    "replica_stopped": "replica {name} stopped",
    "replica_crashed": "replica {name} crashed",
    "reference_asked": "asking {name} what it predicts for the reference rows",
    "load_started": "load started",
    "phase_started": "phase {name}",
    "phase_ended": "phase {name} over",
    "fault_on": "fault on: {name}",
    "fault_off": "fault off: {name}",
    "load_ended": "load ended",
    "settled": "settled",
    "collected": "evidence collected",
    "evaluated": "evaluated",
    "reported": "report written",
    "run_ended": "run over",
}


def describe_event(event: Event) -> str:
    """One line for people."""
    text = TEXTS[event.event].format(name=event.name)
    outcome = event.details.get("outcome")
    return f"{text}: {outcome}" if outcome else text


class Board:
    """The view of one run.

    Args:
        console: where it is shown; a live board needs a terminal.
        title: what is played.
        actions: the schedule, for the phases.
        total: seconds of load.
    """

    def __init__(
        self, console: Console, title: str, actions: list[ScheduledAction], total: float
    ) -> None:
        self._console = console
        self._title = title
        self._phases = [(a.at, a.name) for a in actions if a.kind == "phase_started"]
        self._total = total
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self._snapshot = WatchView()
        self._elapsed: float | None = None
        self._stage = "starting the stack"
        self._began = time.monotonic()
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )
        self._reported: set[str] = set()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing; what is reported later goes nowhere but to the timeline."""
        if self._live is not None:
            self._live.stop()

    def event(self, event: Event) -> None:
        """Show an event of the timeline."""
        self._events.append(event)
        if self._live is None:
            self._print(describe_event(event))
        else:
            self._refresh()

    def stage(self, text: str) -> None:
        """Say what goes on now."""
        self._stage = text
        if self._live is None:
            self._print(text)
        else:
            self._refresh()

    def tick(self, snapshot: WatchView, elapsed: float | None) -> None:
        """Show the state; ``elapsed`` is seconds of load, or None when there is none."""
        self._snapshot = snapshot
        self._elapsed = elapsed
        if self._live is None:
            self._print_changes(snapshot)
        else:
            self._refresh()

    def _print(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(f"[{seconds:6.1f} s] {text}", markup=False, highlight=False)

    def _print_changes(self, snapshot: WatchView) -> None:
        """Where no board can be drawn, alerts and decisions get a line when they change."""
        facts = {f"alert {name} is {state}" for name, state in snapshot.alerts.items()}
        facts |= {f"notified: {name}" for name in snapshot.notified}
        facts |= {f"notified as resolved: {name}" for name in snapshot.resolved}
        if snapshot.drift is not None:
            facts.add(f"drift job: {describe_drift(snapshot)}")
        for fact in sorted(facts - self._reported):
            self._print(fact)
        # What is no longer so may be reported again; notifications stay reported.
        self._reported = facts

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column()
        rows.add_row("now", self._stage)
        if self._elapsed is not None:
            rows.add_row("load", self._progress(self._elapsed))
        snapshot = self._snapshot
        if snapshot.sent:
            latency = f", p95 {snapshot.p95 * 1000:.0f} ms" if snapshot.p95 is not None else ""
            rows.add_row(
                "requests",
                f"{snapshot.sent} sent, {snapshot.failed} failed, {snapshot.rate:.0f}/s{latency}",
            )
        rows.add_row("alerts", self._alerts())
        if snapshot.drift is not None:
            rows.add_row("drift job", describe_drift(snapshot))
        lines = [
            Text(f"  {describe_event(event)}", style=STYLES.get(event.event, "dim"))
            for event in self._events
        ]
        return Panel(Group(rows, *lines), title=escape(self._title), title_align="left")

    def _progress(self, elapsed: float) -> RenderableType:
        phase = next((name for at, name in reversed(self._phases) if at <= elapsed), "")
        grid = Table.grid(padding=(0, 1))
        shown = min(elapsed, self._total)
        bar = ProgressBar(total=self._total, completed=shown, width=30)
        grid.add_row(bar, f"{shown:.0f}/{self._total:.0f} s", f"phase {phase}")
        return grid

    def _alerts(self) -> Text:
        text = Text()
        for name, state in self._snapshot.alerts.items():
            text.append(f"{name} {state}  ", style="bold red" if state == "firing" else "yellow")
        for name in self._snapshot.notified:
            done = name in self._snapshot.resolved
            text.append(f"✉ {name}{' resolved' if done else ''}  ", style="green" if done else "")
        return text if text.plain else Text("none", style="dim")


def describe_drift(snapshot: WatchView) -> str:
    """The last run of the drift job in a few words."""
    run = snapshot.drift or {}
    if run.get("drift_share") is None:
        return str(run.get("outcome", ""))
    return f"{run['decision']}, share of drifted columns {run['drift_share']:.2f}"
