"""Durations and the time scale: production durations in, durations of a faster run out.

Pure: no I/O, no clock. A run at factor *s* divides every duration of the rules and of the parts'
configuration by *s*. Rates, counts and latency limits stay, and so do plain numbers of seconds in
expressions, which :mod:`testbed_rules.dimensions` looks after.

Left alone on purpose: retention, Prometheus's out-of-order window (it must stay longer than the
longest outage) and network timeouts (the machine doesn't get faster). A scrape timeout is scaled
all the same, since Prometheus wants it no longer than the interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from testbed_domain.errors import UsageError

MINIMUM_INTERVAL: Final = 0.25
"""Seconds: no scrape, evaluation or export runs more often than this, whatever the scale."""

Tree: TypeAlias = dict[str, Any]  # a parsed YAML mapping

_UNITS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DURATION: Final = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))

# Everything of PromQL in which a duration must not be seen (strings, comments, names), the two
# places where one is scaled, and an opening bracket that holds something else.
_LITERAL: Final = r"[0-9][0-9a-z_.]*"
_BLANK: Final = r"(?:\s|\#[^\n]*\n)"
_TOKEN: Final = re.compile(
    rf"""
      (?P<offset>(?i:offset)(?:{_BLANK}+[-+]?|[-+]){_BLANK}*)(?P<by>{_LITERAL})
    | \[\s*(?P<range>{_LITERAL})\s*(?P<sub>:\s*(?P<step>{_LITERAL})?\s*)?\]
    | (?P<unread>\[)
    | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* | [A-Za-z_:][A-Za-z0-9_:]*
    """,
    re.VERBOSE | re.DOTALL,
)

_GROUP_INTERVALS: Final = frozenset({"interval"})
_GROUP_DURATIONS: Final = frozenset({"query_offset"})
_RULE_DURATIONS: Final = frozenset({"for", "keep_firing_for"})
_PROMETHEUS_INTERVALS: Final = frozenset(
    {"scrape_interval", "scrape_timeout", "evaluation_interval", "refresh_interval"}
)
_PROMETHEUS_DURATIONS: Final = frozenset({"rule_query_offset"})
_ALERTMANAGER_DURATIONS: Final = frozenset(
    {"group_wait", "group_interval", "repeat_interval", "resolve_timeout"}
)
_COLLECTOR_DURATIONS: Final = frozenset(
    {"flush_timeout", "initial_interval", "max_interval", "max_elapsed_time"}
)


class RuleDurationError(UsageError, ValueError):
    """A text that is not a duration, or an expression whose durations can't be read."""


def parse_duration(text: str) -> float:
    """Read a duration as Prometheus writes it.

    Args:
        text: whole numbers with the units y, w, d, h, m, s, ms, largest first, each at most once
            (``1h30m``, ``500ms``), or ``0``.

    Returns:
        Seconds.

    Raises:
        DurationError: the text is anything else.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise RuleDurationError(
            f"{text!r} is not a valid duration: write whole numbers with y, w, d, h, m, s or ms, "
            "largest first, for example 90s, 1h30m or 500ms"
        )
    return sum(int(match[unit] or 0) * size for unit, size in _UNITS.items()) / 1000


def format_duration(seconds: float) -> str:
    """Write a duration so that Prometheus, Alertmanager and Go all read it.

    Hours are the largest unit, because Go knows no days. What is longer than nothing stays so.

    Args:
        seconds: finite, not negative; rounded to milliseconds.

    Raises:
        DurationError: ``seconds`` is negative or not finite.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise RuleDurationError(
            f"{seconds} seconds are not a valid duration: give a number from 0 up"
        )
    left = max(round(seconds * 1000), 1) if seconds else 0
    parts = []
    for unit in ("h", "m", "s", "ms"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def literal_seconds(literal: str) -> float:
    """Seconds of a literal in PromQL, where a plain number counts seconds."""
    try:
        return float(literal)
    except ValueError:
        return parse_duration(literal)


DurationPlace: TypeAlias = Literal["range", "step", "offset"]


def rewrite_durations(promql: str, change: Callable[[DurationPlace, str], str]) -> str:
    """A PromQL expression with every range, offset and subquery step changed.

    All else, comments and strings included, stays as it is written.

    Args:
        promql: the expression.
        change: gets the place and the literal of each duration, in the order of the text.

    Raises:
        DurationError: a range holds something other than literal durations.
    """

    def replace(match: re.Match[str]) -> str:
        if match["unread"]:
            rest = promql[match.start() : match.start() + 20]
            raise RuleDurationError(f"cannot read the range at {rest!r}: write it like [5m]")
        if match["offset"]:
            return match["offset"] + change("offset", match["by"])
        if match["range"]:
            length = change("range", match["range"])
            step = change("step", match["step"]) if match["step"] else ""
            return f"[{length}{':' if match['sub'] else ''}{step}]"
        return match[0]

    return _TOKEN.sub(replace, promql)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """How much faster than in production a run goes.

    Attributes:
        factor: production seconds per real second, at least 1.
    """

    factor: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor) or self.factor < 1:
            raise RuleDurationError(f"the time scale is {self.factor}: give a number from 1 up")

    def seconds(self, production: float) -> float:
        """Real seconds of a production time in seconds."""
        return production / self.factor

    def duration(self, text: str) -> str:
        """A production duration, scaled."""
        return format_duration(self.seconds(parse_duration(text)))

    def interval(self, text: str) -> str:
        """A production interval, scaled, but not below what a machine can keep up with.

        At factor 1, and wherever the production interval is shorter already, it stays as it is.
        """
        production = parse_duration(text)
        return format_duration(self.interval_seconds(production))

    def interval_seconds(self, production: float) -> float:
        """As :meth:`interval`, in seconds."""
        return max(self.seconds(production), min(production, MINIMUM_INTERVAL))

    def expression(self, promql: str) -> str:
        """A PromQL expression with every range, offset and subquery step scaled.

        All else, comments and strings included, stays as it is written.

        Raises:
            DurationError: a range holds something other than literal durations.
        """
        return rewrite_durations(promql, lambda _, literal: self._literal(literal))

    def _literal(self, literal: str) -> str:
        return format_duration(self.seconds(literal_seconds(literal)))

    def rule(self, entry: Mapping[str, Any]) -> Tree:
        """One rule: ``for``, ``keep_firing_for`` and the expression."""
        scaled = _mapped(entry, _RULE_DURATIONS, self.duration)
        return scaled | {"expr": self.expression(str(entry["expr"]))}

    def groups(self, document: Mapping[str, Any]) -> Tree:
        """A rules file: the intervals of its groups, whose rules stay as they are."""

        def group(entry: Mapping[str, Any]) -> Tree:
            scaled = _mapped(entry, _GROUP_DURATIONS, self.duration)
            return _mapped(scaled, _GROUP_INTERVALS, self.interval)

        return {**document, "groups": [group(entry) for entry in document.get("groups") or ()]}

    def prometheus(self, document: Mapping[str, Any]) -> Tree:
        """Prometheus's configuration: scrape, evaluation and file discovery intervals."""
        scaled = _walked(document, _PROMETHEUS_INTERVALS, self.interval)
        return dict(_walked(scaled, _PROMETHEUS_DURATIONS, self.duration))

    def alertmanager(self, document: Mapping[str, Any]) -> Tree:
        """Alertmanager's configuration: group wait, group interval and repeat interval."""
        return dict(_walked(document, _ALERTMANAGER_DURATIONS, self.duration))

    def collector(self, document: Mapping[str, Any]) -> Tree:
        """The Collector's configuration: timeouts of batches and retry intervals."""
        return dict(_walked(document, _COLLECTOR_DURATIONS, self.duration))


def _mapped(entry: Mapping[str, Any], keys: Collection[str], change: Callable[[str], str]) -> Tree:
    """``entry`` with the values of ``keys`` changed."""
    return {key: change(str(value)) if key in keys else value for key, value in entry.items()}


def _walked(node: Any, keys: Collection[str], change: Callable[[str], str]) -> Any:  # noqa: ANN401 - YAML
    """A YAML tree with the values of ``keys`` changed at any depth."""
    if isinstance(node, Mapping):
        return {
            key: change(str(value)) if key in keys else _walked(value, keys, change)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_walked(value, keys, change) for value in node]
    return node
