"""Numbers and states as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from testbed_rules.timescale import format_duration

from testbed.checks.results import AlertStatus

if TYPE_CHECKING:
    from testbed.checks.results import Delay, RuleLimitRow

NONE: Final = "\u2013"
"""Stands where there is no value."""

STATUS_TEXTS: Final = {
    AlertStatus.DETECTED: "fired as expected",
    AlertStatus.ALLOWED: "fired, allowed",
    AlertStatus.FALSE_POSITIVE: "unexpected alert",
    AlertStatus.EARLY: "fired too early",
    AlertStatus.RULE_MISSING: "its rule is missing",
    AlertStatus.RULE_FAILING: "its rule fails",
    AlertStatus.NEVER_FIRED: "never fired",
    AlertStatus.NOT_NOTIFIED: "fired, not notified",
    AlertStatus.LATE: "too late",
    AlertStatus.NOT_RESOLVED: "not resolved",
    AlertStatus.RESOLVED_LATE: "resolved too late",
    AlertStatus.NOT_PLAYED: "phase not played",
    AlertStatus.BLIND: "not applicable: monitoring blind",
}


def status_text(status: AlertStatus) -> str:
    """What became of an alert, in words."""
    return STATUS_TEXTS[status]


def seconds(value: float) -> str:
    """A time span, to the second: ``4m18s``."""
    return format_duration(float(round(abs(value))))


def delay_text(delay: Delay | None) -> str:
    """A span in real seconds."""
    return NONE if delay is None else f"{delay.real:.1f} s"


def count(value: int) -> str:
    """A number with its thousands apart."""
    return f"{value:,}"


def number(value: float | None, unit: str = "") -> str:
    """A measured value with its unit; a share as per cent."""
    if value is None:
        return NONE
    if unit == "ratio":
        return f"{value:.2%}"
    return f"{value:,.4g} {unit}".strip()


def passing_limits(row: RuleLimitRow) -> str:
    """The range of limits with which the run would have had the same outcome."""
    if not row.bounded:
        return NONE
    if row.passes_from is None and row.passes_to is None:
        return "any"
    if row.passes_from is None:
        return f"up to {number(row.passes_to)}"
    if row.passes_to is None:
        return f"from {number(row.passes_from)}"
    return f"{number(row.passes_from)} to {number(row.passes_to)}"


def moment(time: float | None) -> str:
    """A Unix time, UTC."""
    if time is None:
        return NONE
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def offset(time: float | None, origin: float) -> str:
    """A Unix time as seconds after ``origin``."""
    return NONE if time is None else f"{time - origin:+.1f} s"


def gibibytes(value: float) -> str:
    """A size in memory."""
    return f"{value / 2**30:.1f} GiB"
