"""What in alert rules breaks under a time scale, and what an alert must carry.

:func:`lint` is pure, parsed rules in, problems out; the functions below it read files. There are
two kinds of problem:

- ``scale``: the rule would mean something else in a scaled run than in production. A range that
  holds too few samples, or a plain number that counts seconds or events (``time() - x > 900``,
  ``predict_linear(x[1h], 3600)``, ``increase(x[5m]) > 3``), which the scale can't reach. A rule
  whose number is right at every scale says so by an annotation or a label
  ``testbed_unscaled: "reason"``.
- ``style``: an alert lacks severity, summary, description or runbook, or names an unknown metric.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import promql_parser as promql
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from testbed_domain.errors import UsageError
from testbed_domain.yamlfile import read_yaml
from testbed_otel import names

from testbed_rules.parsing import COMPARISONS, nodes_of
from testbed_rules.timescale import (
    MINIMUM_INTERVAL,
    RuleDurationError,
    TimeScale,
    Tree,
    format_duration,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

UNSCALED_MARK: Final = "testbed_unscaled"
RATE_SAMPLES: Final = 4
"""Samples that a range of a rate must hold: two may be late, and a rate needs two."""

KNOWN_SERIES: Final = frozenset(names.FOREIGN_SERIES).union(
    *(metric.prometheus_series for metric in names.METRICS)
)

_RATES: Final = frozenset(
    {
        "changes",
        "delta",
        "deriv",
        "double_exponential_smoothing",
        "holt_winters",
        "idelta",
        "increase",
        "irate",
        "predict_linear",
        "rate",
        "resets",
    }
)
# Functions whose value grows with the range (or with the clock), and those whose value no longer
# depends on time even if their argument did.
_GROWING: Final = frozenset({"changes", "delta", "idelta", "increase", "resets"})
_CLOCKS: Final = frozenset({"time", "timestamp"})
_TIMELESS: Final = _RATES - _GROWING | {
    "absent",
    "absent_over_time",
    "count_over_time",
    "present_over_time",
}
_TIMELESS_AGGREGATIONS: Final = frozenset({"count", "count_values", "group"})
_CLOCK_SUFFIXES: Final = ("_timestamp_seconds", "_start_time_seconds", "_boot_time_seconds")
_REQUIRED_ANNOTATIONS: Final = ("summary", "description", "runbook_url")


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding.

    Attributes:
        kind: ``scale`` (the run would be wrong) or ``style``.
        file: rules file, as given.
        rule: alert name or recorded series.
        reason: what is wrong and what to do, one line.
    """

    kind: Literal["scale", "style"]
    file: str
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Context:
    """What all rules of one check share."""

    interval: float
    scale: TimeScale
    runbooks: Collection[str] | None
    known: Collection[str]


def lint(
    files: Mapping[str, Mapping[str, Any]],
    *,
    interval: float,
    factor: float,
    runbooks: Collection[str] | None = None,
) -> list[LintFinding]:
    """Check parsed rules files.

    Args:
        files: parsed YAML by file name.
        interval: production interval of scrapes and exports, in seconds.
        factor: time scale of the run; 1 is production.
        runbooks: paths that a relative ``runbook_url`` may name; None checks none.

    Returns:
        All problems, in the order of files and rules.
    """
    rules = [
        (file, rule)
        for file, document in files.items()
        for group in document.get("groups") or ()
        for rule in group.get("rules") or ()
    ]
    recorded = {str(rule["record"]) for _, rule in rules if "record" in rule}
    context = _Context(interval, TimeScale(factor), runbooks, KNOWN_SERIES | recorded)
    return [problem for file, rule in rules for problem in _rule(file, rule, context)]


def _rule(file: str, rule: Mapping[str, Any], context: _Context) -> Iterator[LintFinding]:
    name = str(rule.get("alert") or rule.get("record") or "a rule without a name")
    for reason in _scale_reasons(rule, context):
        yield LintFinding("scale", file, name, reason)
    for reason in _style_reasons(rule, context):
        yield LintFinding("style", file, name, reason)


def _scale_reasons(rule: Mapping[str, Any], context: _Context) -> Iterator[str]:
    try:
        context.scale.rule(rule)
    except RuleDurationError as error:
        yield str(error)
        return
    with contextlib.suppress(ValueError):  # _style_reasons reports it
        nodes = _nodes(rule)
        yield from _ranges(nodes, context)
        if UNSCALED_MARK not in {**(rule.get("labels") or {}), **(rule.get("annotations") or {})}:
            yield from _numbers(nodes)


def _style_reasons(rule: Mapping[str, Any], context: _Context) -> Iterator[str]:
    try:
        yield from _unknown(_nodes(rule), context.known)
    except ValueError as error:
        yield f"its expression can't be checked: {' '.join(str(error).split())}"
    if "alert" in rule:
        yield from _missing(rule, context.runbooks)


def _nodes(rule: Mapping[str, Any]) -> list[promql.Expr]:
    """All nodes of a rule's expression; ValueError where the parser can't read it."""
    return nodes_of(promql.parse(str(rule["expr"])))


def _ranges(nodes: list[promql.Expr], context: _Context) -> Iterator[str]:
    """Ranges that hold too few samples once they are scaled."""
    for node in nodes:
        if not isinstance(node, promql.Call):
            continue
        needed = RATE_SAMPLES if node.func.name in _RATES else 1
        for argument in node.args:
            if not isinstance(argument, promql.MatrixSelector | promql.SubqueryExpr):
                continue
            length = argument.range.total_seconds() if argument.range else 0.0
            step = getattr(argument, "step", None)
            every = (
                context.scale.seconds(step.total_seconds())
                if step
                else context.scale.interval_seconds(context.interval)
            )
            samples = context.scale.seconds(length) / every
            if samples < needed:
                yield (
                    f"{node.func.name} over {format_duration(length)} holds {samples:.1f} samples "
                    f"at time scale {context.scale.factor:g} (one per {format_duration(every)}); "
                    f"it needs {needed}: {_way_out(length, needed, context.interval, step)}"
                )


def _way_out(length: float, needed: int, interval: float, step: object) -> str:
    largest = length / needed / min(interval, MINIMUM_INTERVAL)
    if step or largest < 1 or length / needed < interval:
        return "lengthen the range"
    return f"lengthen the range, or use a time scale up to {largest:g}"


def _numbers(nodes: list[promql.Expr]) -> Iterator[str]:
    """Plain numbers that count seconds, or events within a range."""
    for node in nodes:
        if isinstance(node, promql.Call) and node.func.name == "predict_linear":
            if _constant(node.args[1]):
                yield (
                    f"predict_linear looks {node.args[1]} plain seconds ahead, which no time scale "
                    f"divides: rewrite it, or mark the rule with {UNSCALED_MARK}"
                )
        elif isinstance(node, promql.BinaryExpr) and str(node.op) in COMPARISONS | {"+", "-"}:
            for side, other in ((node.lhs, node.rhs), (node.rhs, node.lhs)):
                if _grows(side) and _constant(other):
                    yield (
                        f"{side} grows with time, so the plain number in {other} is right at one "
                        "time scale only: compare with 0, write the time as a range such as [15m] "
                        f"or as `for`, or mark the rule with {UNSCALED_MARK}"
                    )
                    break


def _constant(node: promql.Expr) -> bool:
    """Whether a number other than 0 stands in ``node`` as a summand, factors left aside."""
    match node:
        case promql.NumberLiteral():
            return node.val != 0
        case promql.ParenExpr() | promql.UnaryExpr():
            return _constant(node.expr)
        case promql.BinaryExpr() if str(node.op) in {"+", "-"}:
            return _constant(node.lhs) or _constant(node.rhs)
        case promql.BinaryExpr() if str(node.op) in {"*", "/", "%", "^"}:
            return _constant(node.lhs) and _constant(node.rhs)
        case _:
            return False


def _grows(node: promql.Expr) -> bool:  # noqa: PLR0911 - one return per kind of node
    """Whether the value of ``node`` is an amount of time, or grows with a range."""
    match node:
        case promql.Call():
            name = node.func.name
            if name in _GROWING or name in _CLOCKS:
                return True
            return name not in _TIMELESS and any(_grows(each) for each in node.args)
        case promql.AggregateExpr():
            return str(node.op) not in _TIMELESS_AGGREGATIONS and _grows(node.expr)
        case promql.BinaryExpr():
            left, right = _grows(node.lhs), _grows(node.rhs)
            if str(node.op) in COMPARISONS:
                return left
            # A share of two amounts over the same range is the same at every scale.
            return left != right if str(node.op) == "/" else left or right
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _grows(node.expr)
        case promql.MatrixSelector():
            return _grows(node.vector_selector)
        case promql.VectorSelector():
            return (node.name or "").endswith(_CLOCK_SUFFIXES)
        case _:
            return False


def _unknown(nodes: list[promql.Expr], known: Collection[str]) -> Iterator[str]:
    used = {node.name for node in nodes if isinstance(node, promql.VectorSelector) and node.name}
    for name in sorted(used.difference(known)):
        yield f"{name} is not a metric of testbed_otel.names: correct the name or add it there"


def _missing(rule: Mapping[str, Any], runbooks: Collection[str] | None) -> Iterator[str]:
    """Labels and annotations that every alert carries."""
    if not (rule.get("labels") or {}).get("severity"):
        yield (
            "it has no label severity: add critical, warning or none, which Alertmanager routes by"
        )
    annotations = rule.get("annotations") or {}
    for key in _REQUIRED_ANNOTATIONS:
        if not annotations.get(key):
            yield f"it has no annotation {key}: add one"
    runbook = str(annotations.get("runbook_url") or "")
    if runbook and runbooks is not None and "://" not in runbook and runbook not in runbooks:
        yield f"its runbook_url {runbook} names no file: write that runbook"


class _Open(BaseModel):
    """Base of what a rules file holds: what isn't needed here is kept as it is."""

    model_config = ConfigDict(extra="allow")


# What YAML makes of a plain text; Prometheus takes all of it as text.
_Scalar: TypeAlias = str | bool | int | float | date | None


class _Rule(_Open):
    expr: str | int | float
    alert: _Scalar = None
    record: _Scalar = None
    for_: _Scalar = Field(None, alias="for")
    keep_firing_for: _Scalar = None
    labels: dict[_Scalar, _Scalar] | None = None
    annotations: dict[_Scalar, _Scalar] | None = None


class _Group(_Open):
    name: str
    rules: list[_Rule] = []


class _RulesFile(_Open):
    groups: list[_Group] = []


def read_rules(folder: Path) -> dict[str, Tree]:
    """Read the rules files of a folder, by file name.

    Raises:
        UsageError: there is none, or one is no rules file.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in {".yml", ".yaml"})
    if not files:
        raise UsageError(f"{folder} holds no rules: give a folder with .yml files")
    return {path.name: _read_file(path) for path in files}


def _read_file(path: Path) -> Tree:
    document = read_yaml(path)
    try:
        return _RulesFile.model_validate(document).model_dump(exclude_unset=True, by_alias=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"{path} is not a Prometheus rules file: {where}: {first['msg']}"
        ) from error


def require_scale(folder: Path, *, interval: float, factor: float) -> list[LintFinding]:
    """Refuse rules that would mean something else at a time scale.

    Args:
        folder: rules files.
        interval: production interval of scrapes and exports, in seconds.
        factor: time scale of the run.

    Returns:
        The problems of style, which are worth a warning.

    Raises:
        UsageError: a rule can't be scaled; names file, rule and reason of the first.
    """
    problems = lint(read_rules(folder), interval=interval, factor=factor)
    broken = [problem for problem in problems if problem.kind == "scale"]
    if broken:
        more = f" (and {len(broken) - 1} more)" if broken[1:] else ""
        raise UsageError(f"{broken[0]}{more}")
    return problems
