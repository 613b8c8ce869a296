"""The queries of the shipped dashboards' panels, as one can send them to Prometheus."""

from __future__ import annotations

from testbed.facts.panels import DashboardQuery, read_panels
from testbed_grafana.files import FOLDER


def panel_queries(window: float) -> list[DashboardQuery]:
    """Every query of every panel; those of the dashboards' variables are left out.

    Args:
        window: seconds that stand for ``$__rate_interval``.
    """
    return [one for one in read_panels(FOLDER, window) if ": variable " not in one.where]
