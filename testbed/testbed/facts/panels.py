"""The panels of the dashboards, read from the JSON that Grafana reads."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import promql_parser as promql
from testbed_rules.parsing import COMPARISONS, nodes_of
from testbed_rules.selectors import Selector, selector_of

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ALL: Final = ".+"
"""What stands for a variable of which everything is selected."""

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
_LEGEND: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES: Final = re.compile(r"label_values\((?:(.+),)?\s*(\w+)\s*\)", re.DOTALL)
_INCREASES: Final = frozenset({"rate", "irate", "increase"})
_TIMES: Final = frozenset({"__rate_interval", "__interval", "__range"})


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """One query of a panel, or of a variable of the dashboard.

    Attributes:
        where: dashboard, panel and letter of the query, for people.
        expr: PromQL, without any Grafana variable.
        legend: labels that its legend shows.
        unit: of its values, as Grafana names it.
    """

    where: str
    expr: str
    legend: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PanelSelector(Selector):
    """One selector of an expression.

    Attributes:
        rated: whether its increase is shown, not its value.
    """

    rated: bool = False


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What an expression is made of.

    Attributes:
        selectors: in their order.
        grouping: labels by which aggregations group.
        filters: operators of comparisons that drop series.
        plain: whether it is one selector, at most under one rate and one sum.
        additive: whether nothing but sums, arithmetic and increases are made of its selectors.
    """

    selectors: tuple[PanelSelector, ...] = ()
    grouping: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    plain: bool = False
    additive: bool = False


def read_panels(folder: Path, window: float) -> tuple[DashboardQuery, ...]:
    """Every query of every dashboard in a folder, with its variables filled in.

    Args:
        folder: of Grafana's JSON files.
        window: real seconds that stand for ``$__rate_interval``.

    Raises:
        UsageError: a file is no dashboard.
    """
    queries: list[DashboardQuery] = []
    for path in sorted(folder.glob("*.json")):
        try:
            board = json.loads(path.read_text(encoding="utf-8"))
            queries += _of_board(board, f"{max(1, round(window * 1000))}ms", path.stem)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise UsageError(f"{path} is not a dashboard of Grafana: {error}") from error
    return tuple(queries)


def _of_board(board: dict[str, Any], window: str, stem: str) -> Iterator[DashboardQuery]:
    title = board.get("uid") or stem
    for panel in _flat(board.get("panels") or ()):
        unit = ((panel.get("fieldConfig") or {}).get("defaults") or {}).get("unit") or ""
        for target in panel.get("targets") or ():
            if expr := target.get("expr"):
                where = f"{title}: {panel.get('title', '')} {target.get('refId', '')}".strip()
                legend = _LEGEND.findall(target.get("legendFormat") or "")
                yield DashboardQuery(where, fill(expr, window), tuple(legend), unit)
    for variable in (board.get("templating") or {}).get("list") or ():
        found = _LABEL_VALUES.fullmatch(str(variable.get("definition") or "").strip())
        if found and found[1]:
            where = f"{title}: variable {variable.get('name', '')}"
            yield DashboardQuery(where, fill(found[1], window), (found[2],))


def _flat(panels: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The panels, those inside of collapsed rows included."""
    for panel in panels:
        yield panel
        yield from _flat(panel.get("panels") or ())


def fill(expr: str, window: str) -> str:
    """A query with its variables filled in: all of everything, and the window for times."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[3]
        return window if name in _TIMES else ALL

    return _VARIABLE.sub(value, expr)


def anatomy(expr: str) -> Anatomy:
    """Take an expression apart.

    Raises:
        ValueError: it can't be parsed.
    """
    tree = promql.parse(expr)
    nodes = nodes_of(tree)
    ranges = [selector_of(n.vector_selector) for n in nodes if isinstance(n, promql.MatrixSelector)]
    grouping: list[str] = []
    filters: list[str] = []
    for node in nodes:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            if node.modifier.type == promql.AggModifierType.By:
                grouping += node.modifier.labels
        elif isinstance(node, promql.BinaryExpr):
            op = str(node.op).split()[0]
            if op in COMPARISONS and not (node.modifier and node.modifier.return_bool):
                filters.append(op)
    selectors = tuple(
        PanelSelector(found.metric, found.matchers, rated=found in ranges)
        for found in (
            selector_of(node) for node in nodes if isinstance(node, promql.VectorSelector)
        )
    )
    additive = all(
        (not isinstance(node, promql.AggregateExpr) or str(node.op) == "sum")
        and (not isinstance(node, promql.Call) or node.func.name in _INCREASES)
        for node in nodes
    )
    groups = tuple(dict.fromkeys(grouping))
    return Anatomy(selectors, groups, tuple(filters), _plain(tree), additive)


def _plain(node: promql.Expr) -> bool:
    if isinstance(node, promql.AggregateExpr) and str(node.op) == "sum":
        node = node.expr
    if isinstance(node, promql.Call) and node.func.name == "rate":
        return isinstance(node.args[0], promql.MatrixSelector)
    return isinstance(node, promql.VectorSelector)
