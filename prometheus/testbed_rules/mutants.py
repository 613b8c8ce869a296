"""Mutants of alerting rules: each a small mistake that somebody could make in one. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import promql_parser as promql

from testbed_rules.conditions import (
    MIRRORED,
    Compare,
    Condition,
    Leaf,
    Operator,
    SetOf,
    exchanged,
    leaves,
    written,
)
from testbed_rules.lexing import lengthened
from testbed_rules.parsing import (
    COMPARISONS,
    SET_OPERATORS,
    as_written,
    constant,
    nodes_of,
    parse,
    replaced,
    with_ranges_changed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_rules.replay import RuleTiming

Kind: TypeAlias = Literal[
    "limit", "comparison", "edge", "side", "range", "quantile", "matcher", "labels", "timing"
]
LIMIT_FACTORS: Final = (10.0, 2.0, 0.5, 0.1)
TIME_FACTORS: Final = (10.0, 3.0, 1 / 3, 0.1)
RANGE_FACTORS: Final = (3.0, 1 / 3)
QUANTILES: Final = (0.5, 0.99)
SHOWN: Final = 60
"""Characters of an expression in the name of a mutant at most."""

# A comparison to what is written for it by mistake: turned round, or with the limit itself.
MISTAKEN: Final[Mapping[Kind, Mapping[str, Operator]]] = {
    "comparison": {**MIRRORED, "==": "!=", "!=": "=="},
    "edge": {">": ">=", ">=": ">", "<": "<=", "<=": "<"},
}
_ORDERED: Final = frozenset({">", ">=", "<", "<="})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One of them.

    Attributes:
        kind: of mistake.
        text: what was done, in words.
        condition: of the rule that it makes.
        timing: of that rule.
        leaf: the query that was changed, as it was and as it became, where one was.
    """

    kind: Kind
    text: str
    condition: Condition
    timing: RuleTiming
    leaf: tuple[str, str] | None = None


def mutants(condition: Condition, timing: RuleTiming) -> tuple[Mutant, ...]:
    """All mutants of a rule that differ from it and from each other."""
    found: dict[tuple[str, RuleTiming], Mutant] = {}
    for mutant in (*_timings(condition, timing), *_conditions(condition, timing)):
        key = (written(mutant.condition), mutant.timing)
        if key != (written(condition), timing):
            found.setdefault(key, mutant)
    return tuple(found.values())


def queries(found: tuple[Mutant, ...]) -> frozenset[str]:
    """The queries that these mutants need."""
    return frozenset(text for mutant in found for text in leaves(mutant.condition))


def times(factor: float) -> str:
    """A factor as people write it: times or divided by a whole number."""
    return f"\u00d7 {factor:g}" if factor >= 1 else f"\u00f7 {1 / factor:g}"


def _timings(condition: Condition, timing: RuleTiming) -> Iterator[Mutant]:
    for name, value in (("for_", timing.for_), ("keep_firing", timing.keep_firing)):
        if not value:
            continue
        title = {"for_": "`for`", "keep_firing": "`keep_firing_for`"}[name]
        for factor in TIME_FACTORS:
            changed = replace(timing, **{name: value * factor})
            yield Mutant("timing", f"{title} {times(factor)}", condition, changed)
        yield Mutant("timing", f"{title} removed", condition, replace(timing, **{name: 0.0}))


def _conditions(condition: Condition, timing: RuleTiming) -> Iterator[Mutant]:
    parts = list(_parts(condition))
    several = sum(isinstance(part, Compare) for part in parts) > 1
    for part in parts:
        match part:
            case Compare():
                changes = _comparisons(part, f" of {_short(written(part))}" if several else "")
            case SetOf():
                changes = _sides(part)
            case _:
                changes = _queries(part)
        for kind, text, changed in changes:
            leaf = None
            if isinstance(part, Leaf) and isinstance(changed, Leaf):
                leaf = (part.text, changed.text)
            yield Mutant(kind, text, exchanged(condition, part, changed), timing, leaf)


def _parts(condition: Condition) -> Iterator[Condition]:
    yield condition
    match condition:
        case Compare():
            yield from _parts(condition.side)
        case SetOf():
            yield from _parts(condition.left)
            yield from _parts(condition.right)


def _comparisons(part: Compare, where: str) -> Iterator[tuple[Kind, str, Condition]]:
    if part.operator in _ORDERED and part.limit:
        for factor in LIMIT_FACTORS:
            yield "limit", f"limit {times(factor)}{where}", replace(part, limit=part.limit * factor)
    for kind, operators in MISTAKEN.items():
        operator = operators.get(part.operator)
        if operator is not None:
            text = f"{part.operator} becomes {operator}{where}"
            yield kind, text, replace(part, operator=operator)


def _sides(part: SetOf) -> Iterator[tuple[Kind, str, Condition]]:
    for where, side, retained in (
        ("before", part.left, part.right),
        ("after", part.right, part.left),
    ):
        yield "side", f"{_short(written(side))} dropped {where} `{part.operator}`", retained


def _queries(leaf: Leaf) -> Iterator[tuple[Kind, str, Condition]]:
    for factor in RANGE_FACTORS:
        for old, _, text in with_ranges_changed(leaf.text, factor):
            yield "range", f"range [{old}] {times(factor)}", Leaf(text)
    root = parse(leaf.text)
    nodes = nodes_of(root)
    for index, node in enumerate(nodes):
        for kind, what, text in _rewritten(node, nodes):
            # What can't be parsed is no mistake that could get into a rule.
            with contextlib.suppress(ValueError):
                yield kind, what, Leaf(replaced(root, index, text))


def _rewritten(node: promql.Expr, nodes: list[promql.Expr]) -> Iterator[tuple[Kind, str, str]]:
    """What a node may become by mistake: kind, words, PromQL."""
    match node:
        case promql.VectorSelector():
            yield from _matchers(node)
        case promql.AggregateExpr():
            yield from _grouping(node, nodes)
        case promql.Call() if node.func.name == "histogram_quantile":
            for quantile in QUANTILES:
                text = f"histogram_quantile({quantile}, {node.args[1]})"
                yield "quantile", f"quantile {node.args[0]} becomes {quantile}", text
        case promql.BinaryExpr():
            yield from _operation(node)


def _matchers(node: promql.VectorSelector) -> Iterator[tuple[Kind, str, str]]:
    matchers = list(node.matchers.matchers)
    whole = str(node)
    braces = str(node.matchers)
    for index, matcher in enumerate(matchers):
        others = [str(each) for each in matchers]
        name = node.name or "the selector"
        for what, changed in (
            ("dropped", []),
            (
                "broken",
                [str(promql.Matcher(matcher.op, matcher.name, lengthened(matcher.value, "x")))],
            ),
        ):
            inner = ",".join([*others[:index], *changed, *others[index + 1 :]])
            text = whole.replace(braces, f"{{{inner}}}", 1)
            yield "matcher", f"{as_written(str(matcher))} of {name} {what}", text


def _grouping(
    node: promql.AggregateExpr, nodes: list[promql.Expr]
) -> Iterator[tuple[Kind, str, str]]:
    if node.modifier is None or node.modifier.type != promql.AggModifierType.By:
        return
    quantiles = any(
        isinstance(each, promql.Call) and each.func.name == "histogram_quantile" for each in nodes
    )
    labels = list(node.modifier.labels)
    inner = f"{node.param}, {node.expr}" if node.param is not None else str(node.expr)
    for label in labels:
        if label == "le" and quantiles:
            continue
        rest = ", ".join(each for each in labels if each != label)
        yield "labels", f"{label} dropped from `by`", f"{node.op} by ({rest}) ({inner})"


def _operation(node: promql.BinaryExpr) -> Iterator[tuple[Kind, str, str]]:
    operator, left, whole = str(node.op), str(node.lhs), str(node)
    if operator in SET_OPERATORS:
        for where, side, retained in (
            ("before", node.lhs, node.rhs),
            ("after", node.rhs, node.lhs),
        ):
            yield (
                "side",
                f"{_short(as_written(str(side)))} dropped {where} `{operator}`",
                str(retained),
            )
    if operator not in COMPARISONS or not whole.startswith(f"{left} {operator} "):
        return
    rest = whole.removeprefix(f"{left} {operator} ")
    for kind, operators in MISTAKEN.items():
        other = operators.get(operator)
        if other is not None:
            what = f"{operator} becomes {other} of {_short(as_written(whole))}"
            yield kind, what, f"{left} {other} {rest}"
    limit = constant(node.rhs)
    if limit and operator in _ORDERED:
        for factor in LIMIT_FACTORS:
            text = f"{whole.removesuffix(str(node.rhs))}{limit * factor!r}"
            yield "limit", f"limit {times(factor)} of {_short(as_written(whole))}", text


def _short(text: str) -> str:
    text = " ".join(text.replace("{}", "").split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
