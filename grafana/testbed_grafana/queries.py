"""The queries of the dashboards, as one can send them to Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grafana_foundation_sdk.models.dashboard import Panel
from grafana_foundation_sdk.models.prometheus import Dataquery

from testbed_grafana.boards import BOARDS
from testbed_grafana.promql import CONTAINER, INSTANCE, RATE_INTERVAL, SEGMENT, VERSION

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

ALL = ".+"


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of a panel.

    Attributes:
        board: identity of the dashboard.
        panel: title of the panel.
        ref: letter of the query within its panel.
        expr: PromQL, without any Grafana variable.
    """

    board: str
    panel: str
    ref: str
    expr: str


def panel_queries(rate_interval: str) -> list[PanelQuery]:
    """Every query of every dashboard, over all replicas and containers.

    Args:
        rate_interval: what Grafana would put in place of ``$__rate_interval``, as ``1m``.
    """
    return [query for build in BOARDS.values() for query in extract(build(), rate_interval)]


def extract(board: Dashboard, rate_interval: str) -> list[PanelQuery]:
    """The queries of a dashboard's panels, in their order, with the variables filled in."""
    return [
        PanelQuery(
            board.uid or "",
            panel.title or "",
            target.ref_id or "",
            _fill(target.expr or "", rate_interval),
        )
        for panel in board.panels or []
        if isinstance(panel, Panel)
        for target in panel.targets or []
        if isinstance(target, Dataquery)
    ]


def _fill(expr: str, rate_interval: str) -> str:
    filled = expr.replace(RATE_INTERVAL, rate_interval)
    for variable in (INSTANCE, CONTAINER, VERSION, SEGMENT):
        filled = filled.replace(variable, ALL)
    return filled
