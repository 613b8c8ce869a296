"""Selectors of rules that matched no series in the whole run, and which matchers are at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import promql_parser as promql
from testbed_rules.selectors import Selector, selector_of

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed.clients.prometheus import RuleGroup
    from testbed.facts.sources import Sources

VALUES: Final = 10
"""Values of a label that are stored as examples."""

_ABSENT: Final = frozenset({"absent", "absent_over_time"})


class Culprit(StoredModel):
    """A matcher that matches no series of its metric, whatever the others say.

    Attributes:
        label: its label.
        operator: ``=``, ``!=``, ``=~`` or ``!~``.
        value: what it asks for.
        known: whether some series of the metric has the label.
        values: what that label is instead, the first few.
    """

    label: str
    operator: str
    value: str
    known: bool = False
    values: tuple[str, ...] = ()


class IdleSelector(StoredModel):
    """A selector that matched no series in the whole run.

    Attributes:
        rules: rules that use it.
        selector: as PromQL.
        metric: its metric.
        series: series of that metric in the run, under whatever labels.
        labels: labels that these series have.
        culprits: matchers that match none of them.
        recorded: whether a recording rule makes the metric.
    """

    rules: tuple[str, ...]
    selector: str
    metric: str
    series: int
    labels: tuple[str, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    recorded: bool = False


def idle_selectors(sources: Sources, loaded: Sequence[RuleGroup]) -> tuple[IdleSelector, ...]:
    """Ask for every selector of every rule, but those of ``absent()``, which may match nothing.

    Raises:
        StackError: Prometheus does not answer.
    """
    users: dict[Selector, list[str]] = {}
    recorded = set()
    for group in loaded:
        for rule in group.rules:
            if rule.kind == "recording":
                recorded.add(rule.name)
            for selector in selectors(rule.query):
                users.setdefault(selector, []).append(rule.name)
    found: dict[str, Sequence[Mapping[str, str]]] = {}
    idle = []
    for selector, rules in users.items():
        if selector.metric not in found:
            found[selector.metric] = sources.prometheus.series(
                selector.bare, start=sources.span.start, end=sources.span.end
            )
        series = found[selector.metric]
        if not any(map(selector.takes, series)):
            idle.append(_idle(selector, rules, series, recorded=selector.metric in recorded))
    return tuple(idle)


def _idle(
    selector: Selector,
    rules: Sequence[str],
    series: Sequence[Mapping[str, str]],
    *,
    recorded: bool,
) -> IdleSelector:
    culprits = []
    for matcher in selector.matchers:
        values = {labels.get(matcher.label, "") for labels in series}
        if series and not any(map(matcher.matches, values)):
            held = sorted(values - {""})
            culprits.append(
                Culprit(
                    label=matcher.label,
                    operator=matcher.operator,
                    value=matcher.value,
                    known=bool(held),
                    values=tuple(held[:VALUES]),
                )
            )
    return IdleSelector(
        rules=tuple(sorted(set(rules))),
        selector=str(selector),
        metric=selector.metric,
        series=len(series),
        labels=tuple(sorted({name for labels in series for name in labels} - {"__name__"})),
        culprits=tuple(culprits),
        recorded=recorded,
    )


def selectors(expression: str) -> tuple[Selector, ...]:
    """Selectors of an expression that name a metric, those below ``absent()`` left out.

    An expression that the parser can't read has none.
    """
    try:
        tree = promql.parse(expression)
    except ValueError:
        return ()
    return tuple(dict.fromkeys(_walk(tree)))


def _walk(node: Any) -> Iterator[Selector]:  # noqa: ANN401 - the parser's nodes share no type
    match node:
        case promql.VectorSelector():
            if (found := selector_of(node)).metric:
                yield found
        case promql.MatrixSelector():
            yield from _walk(node.vector_selector)
        case promql.Call():
            if node.func.name not in _ABSENT:
                for argument in node.args:
                    yield from _walk(argument)
        case promql.BinaryExpr():
            yield from _walk(node.lhs)
            yield from _walk(node.rhs)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            yield from _walk(node.expr)
        case promql.SubqueryExpr():
            yield from _walk(node.expr)
        case _:
            pass
