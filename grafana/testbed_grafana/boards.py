"""All dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_grafana import (
    api_performance,
    container_monitoring,
    ml_api_monitoring,
    ml_model_metrics,
    model_versions,
    system_overview,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grafana_foundation_sdk.models.dashboard import Dashboard

# What makes each, by its identity; the first one is Grafana's home.
BOARDS: Final[Mapping[str, Callable[[], Dashboard]]] = {
    board.UID: board.build
    for board in (
        ml_api_monitoring,
        system_overview,
        api_performance,
        container_monitoring,
        ml_model_metrics,
        model_versions,
    )
}
