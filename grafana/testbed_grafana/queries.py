"""The queries of the dashboards, as one can send them to Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grafana_foundation_sdk.models.dashboard import Panel
from grafana_foundation_sdk.models.prometheus import Dataquery

from testbed_grafana import ml_api_monitoring
from testbed_grafana.promql import INSTANCE, RATE_INTERVAL

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

ALL_INSTANCES = ".+"


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of a panel.

    Attributes:
        panel: title of the panel.
        ref: letter of the query within its panel.
        expr: PromQL, without any Grafana variable.
    """

    panel: str
    ref: str
    expr: str


def panel_queries(rate_interval: str) -> list[PanelQuery]:
    """Every query of “ML API Monitoring”, over all replicas.

    Args:
        rate_interval: what Grafana would put in place of ``$__rate_interval``, as ``1m``.
    """
    return extract(ml_api_monitoring.build(), rate_interval)


def extract(board: Dashboard, rate_interval: str) -> list[PanelQuery]:
    """The queries of a dashboard's panels, in their order, with the variables filled in."""
    return [
        PanelQuery(panel.title or "", target.ref_id or "", _fill(target.expr or "", rate_interval))
        for panel in board.panels or []
        if isinstance(panel, Panel)
        for target in panel.targets or []
        if isinstance(target, Dataquery)
    ]


def _fill(expr: str, rate_interval: str) -> str:
    return expr.replace(RATE_INTERVAL, rate_interval).replace(INSTANCE, ALL_INSTANCES)
