"""What all dashboards have in common: variables, alerts drawn over the panels, rows, ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model
from testbed_otel import names

from testbed_grafana.panels import DATASOURCE, RED
from testbed_grafana.promql import (
    API_JOB,
    CONTAINER,
    INSTANCE,
    SEGMENT,
    VERSION,
    chosen,
    foreign,
    label,
    select,
)

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder

    Panels = tuple[Builder[model.Panel], ...]
    Rows = tuple[tuple[str, Panels], ...]

DATASOURCE_UID: Final = "prometheus"


def replicas() -> dashboard.QueryVariable:
    """The variable that chooses replicas of the API."""
    up = select(foreign("up"), API_JOB)
    return _chosen(INSTANCE.removeprefix("$"), "Replica", f"label_values({up}, instance)")


def containers() -> dashboard.QueryVariable:
    """The variable that chooses containers."""
    query = f"label_values({foreign('container_last_seen')}, name)"
    return _chosen(CONTAINER.removeprefix("$"), "Container", query)


def versions() -> dashboard.QueryVariable:
    """The variable that chooses model versions that the drift job has evaluated."""
    metric = names.DRIFT_RATIO
    query = f"label_values({metric.prometheus}, {label(metric, names.MODEL_VERSION)})"
    return _chosen(VERSION.removeprefix("$"), "Model version", query)


def segments() -> dashboard.QueryVariable:
    """The variable that chooses segments of the chosen model versions."""
    metric = names.DRIFT_SEGMENT_ROWS
    rows = select(metric.prometheus, chosen(metric, names.MODEL_VERSION))
    query = f"label_values({rows}, {label(metric, names.SEGMENT)})"
    return _chosen(SEGMENT.removeprefix("$"), "Segment", query)


def _chosen(name: str, title: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(title)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name, "qryType": 1})
        .definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _datasource() -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .current(model.VariableOption(text="Prometheus", value=DATASOURCE_UID))
    )


def firing_alerts() -> str:
    """Alerts that fire and on which somebody has to act, so no heartbeat."""
    return select(foreign("ALERTS"), 'alertstate="firing"', 'severity!="none"')


def _firing_alerts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Firing alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(RED)
        .expr(firing_alerts())
        .title_format("{{alertname}}")
        .text_format("{{severity}} {{instance}}")
    )


def assemble(
    uid: str,
    title: str,
    description: str,
    variables: tuple[dashboard.QueryVariable, ...],
    rows: Rows,
) -> model.Dashboard:
    """A dashboard, ready to be encoded.

    Args:
        uid: its identity, and the name of its file.
        title: what people call it.
        description: what it shows.
        variables: what one chooses on it, beside the data source.
        rows: title and panels of each row.
    """
    # The SDK would rather have the schema's second version; from files, Grafana provisions only
    # the classic one reliably (grafana/grafana#123607).
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["ml", "generated"])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .variables([_datasource(), *variables])
        .annotation(_firing_alerts())
    )
    for name, panels in rows:
        board = board.with_row(dashboard.Row(name))
        for panel in panels:
            board = board.with_panel(panel)
    result = board.build()
    # Ids make a panel linkable; without them Grafana numbers anew at every load.
    for position, item in enumerate(result.panels or [], start=1):
        item.id_val = position
    return result
