"""What Prometheus has loaded, against the rule files of the run and those that they came from.

The two comparisons differ on purpose. Against the rendered files everything must be equal. Against
the source files every duration must be divided by the time scale, which is worked out here a
second time and not by the code that scaled them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import promql_parser as promql
from testbed_rules.runbooks import RUNBOOK
from testbed_rules.timescale import RuleDurationError, literal_seconds

from testbed.facts.configured import ROUNDING, scaled_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from testbed.clients.prometheus import AlertRule, RuleGroup
    from testbed.facts.configured import ConfiguredGroup, ConfiguredRule

SHOWN: Final = 120
"""Characters of a text that a line shows."""

_STEP: Final = r"[0-9][0-9a-z_.]*"
_DURATION: Final = re.compile(
    rf"""
      "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]*
    | \[\s*(?P<range>{_STEP})\s*(?P<sub>:\s*(?P<step>{_STEP})?\s*)?\]
    | (?i:\boffset)\s*(?P<sign>[-+]?)\s*(?P<offset>{_STEP})
    """,
    re.VERBOSE | re.DOTALL,
)

_TEXT: Final = r'"(?:\\.|[^"\\])*"'
_MATCHERS: Final = re.compile(rf'\{{((?:[^"{{}}]|{_TEXT})*)\}}')
_MATCHER: Final = re.compile(rf"[\w.:]+\s*(?:=~|!~|!=|=)\s*{_TEXT}")


def differences(
    loaded: Sequence[RuleGroup],
    files: Sequence[ConfiguredGroup],
    *,
    interval: float,
    factor: float = 1.0,
    located: bool = False,
) -> tuple[str, ...]:
    """How what is loaded differs from rule files, one line each.

    Args:
        loaded: groups of Prometheus.
        files: groups of the files.
        interval: real seconds between evaluations where a group says nothing.
        factor: by how much the durations of the files must have been divided.
        located: whether relative links to runbooks may have got an address before them.
    """
    found = {(group.file.rpartition("/")[2], group.name): group for group in loaded}
    wanted = {(group.file, group.name): group for group in files}
    lines = [
        f"group {name} of {file} is not loaded: {_names(wanted[file, name].rules)} can't fire"
        for file, name in wanted
        if (file, name) not in found
    ]
    lines += [
        f"group {name} of {file} is loaded, but no rule file of the run has it"
        for file, name in found
        if (file, name) not in wanted
    ]
    for key, group in wanted.items():
        if key in found:
            lines += _group(found[key], group, interval, factor, located=located)
    return tuple(lines)


def _names(rules: Iterable[ConfiguredRule]) -> str:
    return ", ".join(sorted({rule.name for rule in rules})) or "nothing"


def _group(
    loaded: RuleGroup, group: ConfiguredGroup, interval: float, factor: float, *, located: bool
) -> Iterator[str]:
    wanted = interval if group.interval is None else scaled_interval(group.interval, factor)
    if abs(loaded.interval - wanted) > ROUNDING:
        yield (
            f"group {group.name} is evaluated every {loaded.interval:g} s, configured are "
            f"{wanted:g} s"
        )
    for rule in group.rules[len(loaded.rules) :]:
        yield f"{rule.name} of group {group.name} is not loaded"
    for other in loaded.rules[len(group.rules) :]:
        yield f"{other.name} of group {group.name} is loaded, but its file does not have it"
    for other, rule in zip(loaded.rules, group.rules, strict=False):
        yield from _rule(other, rule, factor, located=located)


def _rule(
    loaded: AlertRule, rule: ConfiguredRule, factor: float, *, located: bool
) -> Iterator[str]:
    if (loaded.kind, loaded.name) != (rule.kind, rule.name):
        yield f"{loaded.name} is loaded in place of {rule.name}"
        return
    for key, value, wanted in (
        ("for", loaded.for_, rule.for_),
        ("keep_firing_for", loaded.keep_firing, rule.keep_firing),
    ):
        if abs(value - wanted / factor) > ROUNDING:
            yield f"{rule.name}: `{key}` is {value:g} s, and must be {wanted / factor:g} s"
    yield from _texts(rule.name, "label", loaded.labels, rule.labels)
    annotations = loaded.annotations
    if located and _leads_to(annotations.get(RUNBOOK, ""), rule.annotations.get(RUNBOOK, "")):
        annotations = {**annotations, RUNBOOK: rule.annotations[RUNBOOK]}
    yield from _texts(rule.name, "annotation", annotations, rule.annotations)
    if not same_expression(loaded.query, rule.expression, factor):
        is_, must = _short(loaded.query), _short(rule.expression)
        yield f"{rule.name}: its expression is {is_}, not {must}"


def _leads_to(link: str, relative: str) -> bool:
    """Whether a link is the relative one of a source file, with an address before it."""
    return bool(relative) and "://" not in relative and link.endswith(f"/{relative}")


def _texts(
    name: str, kind: str, loaded: Mapping[str, str], wanted: Mapping[str, str]
) -> Iterator[str]:
    for key in sorted(wanted.keys() - loaded.keys()):
        yield f"{name}: its {kind} {key} is missing"
    for key in sorted(loaded.keys() - wanted.keys()):
        yield f"{name}: it has the {kind} {key}, which its file does not"
    for key in sorted(wanted.keys() & loaded.keys()):
        if loaded[key] != wanted[key]:
            yield f"{name}: its {kind} {key} is {_short(loaded[key])}, not {_short(wanted[key])}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def same_expression(loaded: str, written: str, factor: float = 1.0) -> bool:
    """Whether two expressions are the same but for their notation.

    Args:
        loaded: as Prometheus writes it.
        written: as a file has it.
        factor: by how much the durations of ``written`` must have been divided.
    """
    shape, times = _shape(loaded)
    other, written_times = _shape(written)
    if shape is None or other is None:  # the parser does not know all that Prometheus does
        return True
    alike = shape == other or _bare(_undivided(shape, factor)) in {
        _bare(other),
        _bare(_undivided(other, factor)),  # whose author wrote `86400 * 30` at time scale 30
    }
    return (
        alike
        and len(times) == len(written_times)
        and all(abs(a - b / factor) <= ROUNDING for a, b in zip(times, written_times, strict=True))
    )


def _undivided(shape: str, factor: float) -> str:
    """Without the division of plain numbers by the time scale."""
    return re.sub(
        rf"(?:(?<=[\d)])|(?<=inf)|(?<=NaN)) [/*] {re.escape(f'{factor:.15g}')}(?![\d.])", "", shape
    )


def _bare(shape: str) -> str:
    return re.sub(r"[()\s]", "", shape)


def _shape(expression: str) -> tuple[str | None, list[float]]:
    """The expression with every duration made equal, and these durations in order."""
    times: list[float] = []

    def replace(match: re.Match[str]) -> str:
        if match["range"]:
            times.append(literal_seconds(match["range"]))
            if match["step"]:
                times.append(literal_seconds(match["step"]))
            return f"[1h{':' if match['sub'] else ''}{'1m' if match['step'] else ''}]"
        if match["offset"]:
            times.append(literal_seconds(match["offset"]))
            return f"offset {match['sign']}1h".replace("+", "")
        return "" if match[0].startswith("#") else match[0]

    try:
        return _MATCHERS.sub(_sorted, str(promql.parse(_DURATION.sub(replace, expression)))), times
    except (ValueError, RuleDurationError):
        return None, []


def _sorted(braces: re.Match[str]) -> str:
    """Matchers in the order of their labels, as Prometheus writes them."""
    return f"{{{','.join(sorted(found[0] for found in _MATCHER.finditer(braces[1])))}}}"
