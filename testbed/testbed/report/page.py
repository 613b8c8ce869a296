"""The HTML report: one file that needs nothing but a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from markupsafe import Markup, escape
from testbed_rules.runbooks import RUNBOOK

from testbed import texts
from testbed.checks.margins import mutant_line
from testbed.checks.results import REASON_TEXTS
from testbed.facts.rulecharts import alert_of, anchor
from testbed.report.figure import build_figure, origin_of, phase_table, shown_charts, summary
from testbed.report.pages import figure_context, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.evidence import Evidence
    from testbed.facts.spans import SlowRequest
    from testbed.report.previous import PreviousRun
    from testbed.verdict import Verdict

OPENED: Final = ("https://", "http://", "file:///")
"""Beginnings of links that a page may offer, whatever rules say."""
_PLACE: Final = re.compile(r"report\.html#([\w%.~-]+)")
COMPONENT_EVENTS = {
    "component_started": "started",
    "component_ready": "ready",
    "component_stopped": "stopped",
    "component_crashed": "crashed",
    "component_gone": "gone",
    "component_back": "back",
    "replica_started": "replica started",
    "replica_ready": "replica ready",
    "replica_stopped": "replica stopped",
    "replica_crashed": "replica crashed",
    "fault_on": "fault on",
    "fault_off": "fault off",
}


def render_page(verdict: Verdict, evidence: Evidence, previous: PreviousRun | None = None) -> str:
    """The whole page; everything that comes from a run is escaped.

    Args:
        verdict: of the run.
        evidence: what it left.
        previous: that of its scenario, and what changed since; None where there is none.
    """
    filters: dict[str, Callable[..., Any]] = {
        "count": texts.count,
        "delay": texts.delay_text,
        "moment": texts.moment,
        "number": texts.number,
        "gibibytes": texts.gibibytes,
        "status": texts.status_text,
        "passing": texts.passing_limits,
        "reason": REASON_TEXTS.__getitem__,
        "drift_file": drift_link,
        "linked": linked,
    }
    since = {
        "since": None if previous is None else previous.since,
        "before": None if previous is None else previous.folder,
    }
    return render("report.html.j2", _context(verdict, evidence) | since, filters)


def drift_link(name: str) -> str:
    """Link from the report to a file of the drift job; never out of its folder."""
    return f"drift/{quote(name.replace(chr(92), '/').rsplit('/', 1)[-1])}"


def linked(line: str) -> Markup:
    """A line whose places in the report are links; all else is escaped."""
    return Markup(_PLACE.sub(r'<a href="#\1">\1</a>', str(escape(line))))  # noqa: S704 - escaped


def _context(verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
    origin = origin_of(verdict)
    charts = shown_charts(verdict, evidence)
    # An anchor stands once, though an alert may have several limits.
    anchors = {alert: anchor(alert) for chart in charts if (alert := alert_of(chart))}
    return {
        "verdict": verdict,
        "run": verdict.run,
        "origin": origin,
        "offset": texts.offset,
        **figure_context(build_figure(verdict, evidence)),
        "summary": summary(verdict, evidence),
        "runbooks": _runbooks(evidence),
        "mutants": mutant_line(verdict.rules),
        "slowest": _slowest(evidence),
        "tables": [
            (chart, rows, anchors.pop(alert_of(chart) or "", None))
            for chart in charts
            if (rows := phase_table(verdict, chart))
        ],
        "events": [
            (event, COMPONENT_EVENTS[event.event])
            for event in evidence.timeline
            if event.event in COMPONENT_EVENTS
        ],
    }


def _runbooks(evidence: Evidence) -> dict[str, str]:
    """Alert to the link of its runbook, where that can be opened."""
    links = {rule.name: rule.annotations.get(RUNBOOK, "") for rule in evidence.snapshot.rules or ()}
    return {name: link for name, link in links.items() if link.startswith(OPENED)}


def _slowest(evidence: Evidence) -> tuple[SlowRequest, ...]:
    signals = evidence.snapshot.signals
    return signals.traces.slowest if signals and signals.traces else ()
