"""What an alert must carry, and what in the project's own rules breaks under a time scale.

:func:`lint` is pure, parsed rules in, problems out. There are two kinds of problem:

- ``scale``: the rule would mean something else in a scaled run than in production, see
  :mod:`testbed_rules.scaling`;
- ``style``: an alert lacks severity, summary, description or runbook, names an unknown metric, or
  has a label that changes with each evaluation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import promql_parser as promql
from testbed_domain.errors import UsageError
from testbed_otel import names

from testbed_rules.dimensions import Dimension
from testbed_rules.parsing import nodes_of, parse
from testbed_rules.scaling import recorded_dimensions, scale_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from testbed_rules.timescale import Tree

KNOWN_SERIES: Final = frozenset(names.FOREIGN_SERIES).union(
    *(metric.prometheus_series for metric in names.METRICS)
)
_REQUIRED_ANNOTATIONS: Final = ("summary", "description", "runbook_url")
_VALUE: Final = re.compile(r"\{\{.*?(?:\$value|\.Value)\b.*?\}\}", re.DOTALL)


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
    factor: float
    runbooks: Collection[str] | None
    known: Collection[str] | None
    recorded: Mapping[str, Dimension]


def lint(
    files: Mapping[str, Tree],
    *,
    interval: float,
    factor: float,
    runbooks: Collection[str] | None = None,
    known: Collection[str] | None = KNOWN_SERIES,
) -> list[LintFinding]:
    """Check parsed rules files.

    Args:
        files: parsed YAML by file name.
        interval: production interval of scrapes and exports, in seconds.
        factor: time scale of the run; 1 is production.
        runbooks: paths that a relative ``runbook_url`` may name; None checks none.
        known: series that rules may use, besides those that they record; None allows all.

    Returns:
        All problems, in the order of files and rules.
    """
    rules = [
        (file, rule)
        for file, document in files.items()
        for group in document.get("groups") or ()
        for rule in group.get("rules") or ()
    ]
    if known is not None:
        known = {*known, *(str(rule["record"]) for _, rule in rules if "record" in rule)}
    context = _Context(interval, factor, runbooks, known, recorded_dimensions(files))
    return [problem for file, rule in rules for problem in _rule(file, rule, context)]


def _rule(file: str, rule: Mapping[str, Any], context: _Context) -> Iterator[LintFinding]:
    name = str(rule.get("alert") or rule.get("record") or "a rule without a name")
    if context.factor > 1:
        for reason in scale_problems(
            rule, interval=context.interval, factor=context.factor, recorded=context.recorded
        ):
            yield LintFinding("scale", file, name, reason)
    for reason in _style_reasons(rule, context):
        yield LintFinding("style", file, name, reason)


def _style_reasons(rule: Mapping[str, Any], context: _Context) -> Iterator[str]:
    try:
        nodes = nodes_of(parse(str(rule["expr"])))
    except ValueError as error:
        if context.factor == 1:  # otherwise it is a problem of scale
            yield f"its expression can't be checked: {' '.join(str(error).split())}"
    else:
        if context.known is not None:
            yield from _unknown(nodes, context.known)
    if "alert" in rule:
        yield from _missing(rule, context.runbooks)
        yield from _changing(rule)


def _unknown(nodes: list[promql.Expr], known: Collection[str]) -> Iterator[str]:
    used = {node.name for node in nodes if isinstance(node, promql.VectorSelector) and node.name}
    for name in sorted(used.difference(known)):
        yield f"{name} is not a metric of testbed_otel.names: correct the name or add it there"


def _missing(rule: Mapping[str, Any], runbooks: Collection[str] | None) -> Iterator[str]:
    """Labels and annotations that every alert carries."""
    if not (rule.get("labels") or {}).get("severity"):
        yield "it has no label severity, which Alertmanager routes by: add one"
    annotations = rule.get("annotations") or {}
    for key in _REQUIRED_ANNOTATIONS:
        if not annotations.get(key):
            yield f"it has no annotation {key}: add one"
    runbook = str(annotations.get("runbook_url") or "")
    if runbook and runbooks is not None and "://" not in runbook and runbook not in runbooks:
        yield f"its runbook_url {runbook} names no file: write that runbook"


def _changing(rule: Mapping[str, Any]) -> Iterator[str]:
    for label, text in (rule.get("labels") or {}).items():
        if _VALUE.search(str(text)):
            yield (
                f"its label {label} holds the value, which makes another alert of it with each "
                "change: it starts to wait anew and may never fire; write it in an annotation"
            )


def require_scale(files: Mapping[str, Tree], *, interval: float, factor: float) -> None:
    """Refuse the project's rules where they would mean something else at a time scale.

    Args:
        files: parsed YAML by file name.
        interval: production interval of scrapes and exports, in seconds.
        factor: time scale of the run.

    Raises:
        UsageError: a rule can't be scaled; names file, rule and reason of the first.
    """
    found = lint(files, interval=interval, factor=factor)
    broken = [problem for problem in found if problem.kind == "scale"]
    if broken:
        more = f" (and {len(broken) - 1} more)" if broken[1:] else ""
        raise UsageError(f"{broken[0]}{more}")
