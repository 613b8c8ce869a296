"""The parts of the overview: reads what each shows, and renders it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from testbed.active import active_stacks
from testbed.consoleapp.components import component_rows
from testbed.consoleapp.lines import MESSAGE, NOTICE, FittingTail
from testbed.consoleapp.notices import notice_rows, receiver_rows
from testbed.consoleapp.pages import query_link, render
from testbed.consoleapp.readings import alert_rows, read_charts, read_rules, scraped
from testbed.consoleapp.svg import draw
from testbed.errors import StackError, UsageError
from testbed.runlist import list_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from testbed.clients.prometheus import PrometheusClient
    from testbed.consoleapp.live import Fragments
    from testbed.consoleapp.playing import Player
    from testbed.consoleapp.programme import Programme
    from testbed.consoleapp.readings import LiveAlert
    from testbed.consoleapp.runfolder import RunFolder

SECTIONS: Final = (
    ("now", "What plays"),
    ("charts", "Requests and drift"),
    ("alerts", "Alerts"),
    ("notifications", "Notifications"),
    ("components", "Components"),
    ("runs", "Runs"),
)
CHARTED: Final = 900.0
"""Production seconds of the charts, but not less than :data:`SHORTEST`."""
SHORTEST: Final = 60.0
SHOWN: Final = frozenset({"rate", "latency", "errors", "drift"})
STORED: Final = 5000
"""Notifications that are looked at: heartbeats of days are more than a page can show."""
NOTICES: Final = 30
RUNS: Final = 10
LOCUST: Final = "Locust web UI"


class Overview:
    """Renders the parts; one call at a time.

    Args:
        run: the stack's run.
        runs: folder of all runs.
        player: plays scenarios on this stack; None where the run itself is one.
    """

    def __init__(self, run: RunFolder, runs: Path, player: Player | None) -> None:
        self._run = run
        self._runs = runs
        self._player = player
        self._tails = {
            "notices": FittingTail(run.layout.notifications, NOTICE),
            "messages": FittingTail(run.layout.messages, MESSAGE),
        }
        self._notices: deque[dict[str, Any]] = deque(maxlen=STORED)
        self._messages: deque[dict[str, Any]] = deque(maxlen=NOTICES)

    def parts(self) -> Fragments:
        """All parts."""
        self._notices += self._tails["notices"].read()
        self._messages += self._tails["messages"].read()
        now = time.time()
        announced = self._run.announced
        with self._run.prometheus() as prometheus:
            playing = self._playing
            programme = playing.programme(now)
            targets, alerts, rules, problem = self._asked(prometheus)
            return {
                "summary": render("part_summary", text=summary(programme, alerts, problem)),
                "now": render(
                    "part_now",
                    programme=programme,
                    sent=playing.sent,
                    locust=announced.urls.get(LOCUST),
                    played=self._played(),
                ),
                "charts": self._charts(prometheus, now),
                "alerts": render(
                    "part_alerts",
                    alerts=alerts,
                    rules=rules,
                    problem=problem,
                    notified=notified(self._notices),
                ),
                "notifications": render(
                    "part_notifications",
                    notices=notice_rows(self._notices, NOTICES),
                    receivers=receiver_rows(self._notices),
                    messages=list(reversed(self._messages)),
                    factor=self._run.factor,
                    damaged=sum(tail.damaged for tail in self._tails.values()),
                ),
                "components": render(
                    "part_components",
                    components=component_rows(self._run.events, announced.pids, targets),
                    urls=announced.urls,
                ),
                "runs": self._listed(),
            }

    @property
    def _playing(self) -> RunFolder:
        """The run that is played: one on this stack, or its own."""
        player = self._player
        if player is not None and player.folder is not None and player.running:
            return player.folder
        return self._run

    def _played(self) -> dict[str, str] | None:
        player = self._player
        if player is None or player.folder is None:
            return self._over()
        layout = player.folder.layout
        report = f"/runs/{layout.root.name}/report.html" if layout.report_file.exists() else ""
        return {"text": player.said(), "report": report, "log": "/logs?component=played"}

    def _over(self) -> dict[str, str] | None:
        """The verdict of the stack's own run, once there is one."""
        layout, passed = self._run.layout, self._run.passed
        if passed is None:
            return None
        report = f"/runs/{layout.root.name}/report.html" if layout.report_file.exists() else ""
        return {"text": f"The run has {'passed' if passed else 'failed'}.", "report": report}

    def _asked(
        self, prometheus: PrometheusClient
    ) -> tuple[dict[str, str], list[LiveAlert], int, str]:
        """Targets, alerts, how many rules there are, and why not where they can't be asked."""
        try:
            rules = read_rules(prometheus)
            return dict(scraped(prometheus.targets())), alert_rows(rules), len(rules), ""
        except StackError as error:
            return {}, [], 0, str(error)

    def _charts(self, prometheus: PrometheusClient, now: float) -> str:
        seconds = max(SHORTEST, CHARTED / self._run.factor)
        try:
            found = read_charts(prometheus, now, seconds)
        except StackError as error:
            return render("part_charts", charts=[], problem=str(error))
        shown = [
            (
                {
                    "title": f"{chart.title} ({chart.unit})",
                    "unit": chart.unit,
                    "link": query_link(expression),
                    "why": "" if chart.key == "drift" else self._why,
                },
                draw(chart.lines, now - seconds, now),
            )
            for chart, expression in found
            if chart.key in SHOWN
        ]
        return render("part_charts", charts=shown, problem="")

    @property
    def _why(self) -> str:
        """Why a chart of requests may be empty."""
        if self._run.identity.get("service"):
            return "a service of one's own shows none of the API's metrics; see what was sent"
        return "nothing has been sent"

    def _listed(self) -> str:
        try:
            running = [stack.run for stack in active_stacks(self._runs)]
        except UsageError:
            running = []
        rows = list_runs(self._runs, running) if self._runs.is_dir() else []
        shown = [(row, (self._runs / row.id / "report.html").is_file()) for row in rows[:RUNS]]
        return render("part_runs", runs=shown, total=len(rows))


def summary(programme: Programme | None, alerts: Sequence[LiveAlert], problem: str) -> str:
    """The state in a sentence, which is read out where it changes."""
    if problem:
        return problem
    firing = list(dict.fromkeys(a.rule.rule.name for a in alerts if a.alert.state == "firing"))
    pending = len({a.rule.rule.name for a in alerts if a.alert.state == "pending"})
    what = f"Firing: {', '.join(firing)}." if firing else "No alert fires."
    what += f" Pending: {pending}." if pending else ""
    if programme is None:
        return what
    phase = f", phase {programme.now.name}" if programme.now else ""
    return f"{programme.scenario}: {programme.stage}{phase}. {what}"


def notified(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Alert to the Unix time of its latest firing notification."""
    return {line["alertname"]: line["received_at"] for line in lines if line["status"] == "firing"}
