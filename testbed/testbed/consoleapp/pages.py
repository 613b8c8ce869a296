"""The console's pages from their templates; everything that comes from a stack is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from testbed_rules.timescale import format_duration

from testbed.templates import html_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

NONE: Final = "\u2013"
"""Stands where there is no value."""
FOLDER: Final = Path(__file__).parent
STATIC: Final[Mapping[str, tuple[Path, str]]] = {
    # The report's colours and tables: one look for both.
    "report.css": (FOLDER.parent / "report/templates/report.css", "text/css"),
    "console.css": (FOLDER / "static/console.css", "text/css"),
    "console.js": (FOLDER / "static/console.js", "text/javascript"),
}
MENU: Final = (
    ("/", "Overview"),
    ("/query", "Query"),
    ("/rules", "Rules"),
    ("/targets", "Targets"),
    ("/traces", "Traces"),
    ("/logs", "Logs"),
)


def render(template: str, **context: object) -> str:
    """A page or a part of one.

    Args:
        template: its name, without the ending.
        context: its variables.
    """
    return _environment().get_template(f"{template}.html.j2").render(context)


@cache
def _environment() -> Environment:
    environment = html_environment("testbed.consoleapp", auto_reload=False)
    environment.filters |= {
        "clock": clock,
        "moment": moment,
        "number": number,
        "span": span,
        "delay": delay,
        "labels": labels,
        "runbook": runbook,
        "opens": opens,
    }
    environment.globals |= {"menu": MENU, "query_link": query_link, "dash": NONE}
    return environment


def clock(time: float | None) -> str:
    """The time of day of a Unix time, UTC."""
    return _written(time, "%H:%M:%S")


def moment(time: float | None) -> str:
    """A Unix time, UTC, to the millisecond."""
    return _written(time, "%F %T.%f")[:-3] or NONE


def _written(time: float | None, form: str) -> str:
    """A time as ``form`` says; a dash where it is none, or beyond the years that there are."""
    try:
        return NONE if time is None else f"{datetime.fromtimestamp(time, UTC):{form}}"
    except (ValueError, OverflowError, OSError):
        return NONE


def number(value: float | None, unit: str = "") -> str:
    """A value with four digits, and a ratio as per cent."""
    if value is None or value != value:  # noqa: PLR0124 - what is not a number
        return NONE
    if unit == "ratio":
        return f"{value:.1%}"
    if unit == "seconds":
        return span(value)
    return f"{value:,.4g}"


def span(seconds: float | None) -> str:
    """A time span in the unit that suits it."""
    if seconds is None:
        return NONE
    if seconds == 0:
        return "0 s"
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds * 1e6:.3g} \u00b5s"


def delay(seconds: float | None, factor: float) -> str:
    """Real seconds, and behind them production time where it is another."""
    if seconds is None:
        return NONE
    production = f" ({format_duration(float(round(seconds * factor)))})" if factor != 1 else ""
    return f"{seconds:.1f} s{production}"


def labels(found: Mapping[str, Any]) -> str:
    """Labels as PromQL writes them, without the metric's name."""
    return ", ".join(
        f'{name}="{value}"' for name, value in sorted(found.items()) if name != "__name__"
    )


def runbook(link: str) -> str:
    """Where a runbook can be read; of a file beside the rules, the console's own page.

    Empty for what is neither a link nor such a file.
    """
    parts = _parts(link)
    if parts is None:
        return ""
    if parts.scheme in {"http", "https"}:
        return link
    name = parts.path.rpartition("/")[2]
    return f"/runbooks/{name}" if parts.scheme in {"", "file"} and name.endswith(".md") else ""


def opens(url: str) -> str:
    """A URL that a link may have; else empty."""
    parts = _parts(url)
    return url if parts is not None and parts.scheme in {"http", "https"} else ""


def _parts(url: str) -> SplitResult | None:
    """Of a URL, or of what should be one and was written into a rule; None where it is none."""
    try:
        return urlsplit(url)
    except ValueError:  # as of http://[host]/, where brackets are an address's
        return None


def query_link(expression: str) -> str:
    """The query page with an expression."""
    return f"/query?{urlencode({'expr': expression})}"
