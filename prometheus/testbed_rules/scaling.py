"""Rules at a time scale: what is divided, and which rules no time scale suits.

Pure. A rule is set aside where its meaning would change: a range that would hold too few samples,
or a plain number that :mod:`testbed_rules.dimensions` can't scale. A rule whose numbers are right
at every scale says so by an annotation or a label ``testbed_unscaled: "reason"``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import promql_parser as promql

from testbed_rules.dimensions import Dimension, Scaled, Sort, with_numbers_scaled
from testbed_rules.parsing import STRETCH, nodes_of, parse, step_of
from testbed_rules.selectors import selector_of
from testbed_rules.templatequeries import unscaled_queries, with_queries_scaled
from testbed_rules.timescale import (
    MINIMUM_INTERVAL,
    RuleDurationError,
    TimeScale,
    Tree,
    format_duration,
)

UNSCALED_MARK: Final = "testbed_unscaled"
RATE_SAMPLES: Final = 4
"""Samples that a range of a rate must hold: two may be late, and a rate needs two."""

_RATES: Final = frozenset(
    {"changes", "delta", "deriv", "double_exponential_smoothing", "holt_winters", "idelta"}
    | {"increase", "irate", "predict_linear", "rate", "resets"}
)
_PER_SAMPLE: Final = frozenset({"count_over_time", "sum_over_time"})
_STATES: Final = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
Place: TypeAlias = tuple[str, str, int]
"""File, group and index of a rule."""


@dataclass(frozen=True, slots=True)
class RuleNote:
    """What is to be said of a rule.

    Attributes:
        file: rules file, by its name in the run.
        group: its group.
        rule: alert name or recorded series.
        index: place of the rule in its group, from 0.
        reason: one line.
    """

    file: str
    group: str
    rule: str
    index: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FittingRules:
    """Rules that a run at a time scale can play.

    Attributes:
        files: file name to its content, in production.
        aside: rules that are not among them, each with the reason.
        divided: rules whose plain numbers are divided, each with these.
        unscaled: rules with a query in a template that is not scaled, each with its place.
    """

    files: Mapping[str, Tree]
    aside: tuple[RuleNote, ...]
    divided: tuple[RuleNote, ...]
    unscaled: tuple[RuleNote, ...] = ()


def fitting_rules(
    files: Mapping[str, Tree],
    *,
    interval: float,
    factor: float,
    foreign: Iterable[RuleNote] = (),
) -> FittingRules:
    """Set aside the rules that can't be scaled.

    Args:
        files: file name to its content, in production.
        interval: production interval of scrapes and exports, in seconds.
        factor: time scale; 1 suits every rule.
        foreign: rules that Prometheus can't evaluate at any scale.
    """
    scale = TimeScale(factor)
    aside: dict[Place, RuleNote] = {_place(note): note for note in foreign}
    divided: list[RuleNote] = []
    unscaled: list[RuleNote] = []
    for place, rule, recorded in _rules_and_recorded(files) if factor > 1 else ():
        if place in aside:
            continue
        problems, scaled = _fitted(rule, interval, scale, recorded)
        if problems:
            aside[place] = _note(place, rule, problems[0])
        elif scaled is not None and scaled.numbers:
            numbers = ", ".join(scaled.numbers)
            divided.append(_note(place, rule, f"divided by {factor:g}: {numbers}"))
        unscaled += [
            _note(place, rule, f"the query in its {where} is not scaled")
            for where in unscaled_queries(rule, _scaled_query(rule, scale, recorded))
        ]
    _set_readers_aside(files, aside)
    return FittingRules(
        files={name: _without(name, document, aside) for name, document in files.items()},
        aside=tuple(aside.values()),
        divided=tuple(note for note in divided if _place(note) not in aside),
        unscaled=tuple(note for note in unscaled if _place(note) not in aside),
    )


def scaled_rules(files: Mapping[str, Tree], factor: float) -> dict[str, Tree]:
    """Rules files as a run at a time scale loads them.

    Args:
        files: file name to its content, in production.
        factor: time scale.

    Raises:
        RuleDurationError: a duration can't be read.
    """
    scale = TimeScale(factor)
    changed: dict[Place, Tree] = {}
    for place, rule, recorded in _rules_and_recorded(files):
        text = str(rule["expr"])
        if not _marked(rule):
            with contextlib.suppress(ValueError):
                text = with_numbers_scaled(text, factor, recorded).text
        changed[place] = with_queries_scaled(
            scale.rule({**rule, "expr": text}), _scaled_query(rule, scale, recorded)
        )
    return {
        name: scale.groups(
            {
                **document,
                "groups": [
                    {
                        **group,
                        "rules": [
                            changed[name, str(group["name"]), index]
                            for index in range(len(group.get("rules") or ()))
                        ],
                    }
                    for group in document.get("groups") or ()
                ],
            }
        )
        for name, document in files.items()
    }


def _scaled_query(
    rule: Mapping[str, Any], scale: TimeScale, recorded: Mapping[str, Dimension]
) -> Callable[[str], str]:
    """What scales a query in a template of a rule, as its expression is."""

    def scaled(text: str) -> str:
        if not _marked(rule):
            text = with_numbers_scaled(text, scale.factor, recorded).text
        return scale.expression(text)

    return scaled


def unscaled_numbers(files: Mapping[str, Tree], factor: float) -> tuple[RuleNote, ...]:
    """Rules with numbers that can't be divided by a time scale, which :func:`scaled_rules` leaves.

    Args:
        files: file name to its content, in production.
        factor: time scale; 1 suits every rule.
    """
    found: list[RuleNote] = []
    for place, rule, recorded in _rules_and_recorded(files) if factor > 1 else ():
        with contextlib.suppress(ValueError):
            if not _marked(rule):
                fitted = with_numbers_scaled(str(rule["expr"]), factor, recorded)
                found += [_note(place, rule, each) for each in fitted.problems]
    return tuple(found)


def scale_problems(
    rule: Mapping[str, Any],
    *,
    interval: float,
    factor: float,
    recorded: Mapping[str, Dimension] | None = None,
) -> tuple[str, ...]:
    """Why a rule would mean something else at a time scale; empty where it can be scaled."""
    return _fitted(rule, interval, TimeScale(factor), recorded or {})[0]


def _fitted(
    rule: Mapping[str, Any], interval: float, scale: TimeScale, recorded: Mapping[str, Dimension]
) -> tuple[tuple[str, ...], Scaled | None]:
    try:
        scale.rule(rule)
        nodes = nodes_of(parse(str(rule["expr"])))
    except RuleDurationError as error:
        return (str(error),), None
    except ValueError as error:
        return (f"its expression can't be read: {' '.join(str(error).split())}",), None
    problems = tuple(_ranges(nodes, interval, scale))
    if _marked(rule):
        return problems, None
    fitted = with_numbers_scaled(str(rule["expr"]), scale.factor, recorded)
    way_out = f"rewrite it, or mark the rule with {UNSCALED_MARK}"
    return (*problems, *(f"{each}: {way_out}" for each in fitted.problems)), fitted


def _marked(rule: Mapping[str, Any]) -> bool:
    return UNSCALED_MARK in {**(rule.get("labels") or {}), **(rule.get("annotations") or {})}


def _ranges(nodes: list[promql.Expr], interval: float, scale: TimeScale) -> Iterator[str]:
    """Ranges that hold too few samples once they are scaled."""
    for node in nodes:
        if not isinstance(node, promql.Call):
            continue
        needed = RATE_SAMPLES if node.func.name in _RATES else 1
        for argument in node.args:
            if not isinstance(argument, promql.MatrixSelector | promql.SubqueryExpr):
                continue
            # Parsed durations are stretched; see testbed_rules.parsing.
            length = argument.range.total_seconds() / STRETCH if argument.range else 0.0
            if node.func.name in _PER_SAMPLE and isinstance(argument, promql.MatrixSelector):
                yield from _too_seldom(node.func.name, interval, scale)
            step = step_of(argument) if isinstance(argument, promql.SubqueryExpr) else None
            every = scale.seconds(step) if step else scale.interval_seconds(interval)
            samples = scale.seconds(length) / every
            if samples < needed:
                yield (
                    f"{node.func.name} over {format_duration(length)} holds {samples:.1f} samples "
                    f"at time scale {scale.factor:g} (one per {format_duration(every)}); "
                    f"it needs {needed}: {_way_out(length, needed, interval, step)}"
                )


def _too_seldom(function: str, interval: float, scale: TimeScale) -> Iterator[str]:
    """Sums and counts of samples, where fewer of them come than the time scale asks for."""
    if scale.interval_seconds(interval) > scale.seconds(interval) * (1 + 1e-9):
        yield (
            f"{function} grows with the number of samples, of which fewer come at time scale "
            f"{scale.factor:g}: use one up to {interval / MINIMUM_INTERVAL:g}"
        )


def _way_out(length: float, needed: int, interval: float, step: object) -> str:
    largest = length / needed / min(interval, MINIMUM_INTERVAL)
    if step or largest < 1 or length / needed < interval:
        return "lengthen the range"
    return f"lengthen the range, or use a time scale up to {largest:g}"


def recorded_dimensions(files: Mapping[str, Tree]) -> dict[str, Dimension]:
    """Dimension of each series that rules record."""
    rules = [rule for _, rule in _rules(files) if rule.get("record")]
    found: dict[str, Dimension] = {}
    for _ in range(len(rules) + 1):  # as deep as series can be recorded from one another
        before, found = found, _one_pass(rules, found)
        if found == before:
            return found
    return {
        name: dimension if before.get(name) == dimension else Sort.UNCLEAR
        for name, dimension in found.items()
    }


def _one_pass(rules: list[Tree], before: Mapping[str, Dimension]) -> dict[str, Dimension]:
    found: dict[str, Dimension] = {}
    for rule in rules:
        name = str(rule["record"])
        try:
            dimension = with_numbers_scaled(str(rule["expr"]), 1, before).dimension
        except ValueError:
            continue
        dimension = 0 if dimension is Sort.NUMBER else dimension
        found[name] = dimension if found.get(name, dimension) == dimension else Sort.UNCLEAR
    return found


def _set_readers_aside(files: Mapping[str, Tree], aside: dict[Place, RuleNote]) -> None:
    """Set aside, too, what reads a series, or an alert's state, that nothing makes any more."""
    while True:
        retained, lost = (
            {_made(rule) for place, rule in _rules(files) if (place in aside) == gone}
            for gone in (False, True)
        )
        lost -= retained
        found = {
            place: _note(place, rule, f"it reads {series} of {name}, which is set aside")
            if series
            else _note(place, rule, f"it reads {name}, which is set aside")
            for place, rule in _rules(files)
            if place not in aside
            for name, series in sorted(_read_of(lost, rule))[:1]
        }
        if not found:
            return
        aside.update(found)


def _made(rule: Mapping[str, Any]) -> tuple[str, bool]:
    """The name of what a rule makes, and whether it is an alert."""
    recorded = rule.get("record")
    return str(recorded or rule.get("alert") or ""), not recorded


def _read_of(
    lost: Collection[tuple[str, bool]], rule: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Which of them a rule reads, each with the series of the alert's state by which it does."""
    try:
        nodes = nodes_of(parse(str(rule["expr"])))
    except ValueError:
        return
    for node in nodes:
        if not isinstance(node, promql.VectorSelector):
            continue
        selector = selector_of(node)
        named = [
            each
            for each in selector.matchers
            if each.label == "alertname" and each.operator in {"=", "=~"}
        ]
        for name, is_alert in lost:
            if not is_alert and name == selector.metric:
                yield name, ""
            elif is_alert and selector.metric in _STATES and any(m.matches(name) for m in named):
                yield name, selector.metric


def _rules(files: Mapping[str, Tree]) -> Iterator[tuple[Place, Tree]]:
    for name, document in files.items():
        for group in document.get("groups") or ():
            for index, rule in enumerate(group.get("rules") or ()):
                yield (name, str(group["name"]), index), rule


def _note(place: Place, rule: Mapping[str, Any], reason: str) -> RuleNote:
    file, group, index = place
    return RuleNote(file, group, str(rule.get("alert") or rule.get("record") or ""), index, reason)


def _place(note: RuleNote) -> Place:
    return note.file, note.group, note.index


def _without(name: str, document: Tree, aside: Mapping[Place, RuleNote]) -> Tree:
    """A document without the rules set aside, nor the groups that hold no others."""
    groups = []
    for group in document.get("groups") or ():
        rules = group.get("rules") or ()
        retained = [
            rule
            for index, rule in enumerate(rules)
            if (name, str(group["name"]), index) not in aside
        ]
        if retained or not rules:
            groups.append({**group, "rules": retained})
    return {**document, "groups": groups}


def _rules_and_recorded(
    files: Mapping[str, Tree],
) -> Iterator[tuple[Place, Tree, Mapping[str, Dimension]]]:
    """Each rule with the dimensions of the recorded series that it may read.

    A file's own recordings count before those of others, which may be of another service.
    """
    everywhere = recorded_dimensions(files)
    for name, document in files.items():
        recorded = everywhere | recorded_dimensions({name: document})
        for place, rule in _rules({name: document}):
            yield place, rule, recorded
