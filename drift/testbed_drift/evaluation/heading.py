"""What stands first in a report of two windows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_drift.formatting import ReportHeading, iso_time

if TYPE_CHECKING:
    from testbed_drift.evaluation.decision import Decision
    from testbed_drift.rows.windows import Window


def heading(decision: Decision, reference: Window, current: Window) -> ReportHeading:
    """Title and verdict, and of both windows name, dates, rows and labels."""
    return ReportHeading(
        f"Drift report: {current.name} compared with {reference.name}",
        str(decision.action),
        decision.words,
        decision.reasons,
        (("reference", _window(reference)), ("current", _window(current))),
    )


def _window(window: Window) -> str:
    found = window.summary()
    labels = f", {found.labels} labels" if found.labels else ""
    return f"{window.name}: {_dates(window)}, {found.rows} rows{labels}"


def _dates(window: Window) -> str:
    if window.dates is None:
        return "times not known"
    try:
        first, last = (iso_time(one).replace("T", " ").removesuffix("Z") for one in window.dates)
    except (ValueError, OverflowError, OSError):  # numbers that are no dates, or of no year
        return f"times {window.dates[0]:.10g} to {window.dates[1]:.10g} s"
    return f"{first} to {last} UTC" if first != last else f"{first} UTC"
