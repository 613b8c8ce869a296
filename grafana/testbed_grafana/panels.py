"""The two kinds of panel that the dashboards use, with the project's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

from testbed_grafana.promql import API_TARGET, legend, rate, select, sum_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_otel.names import Metric

GREEN: Final = "green"
ORANGE: Final = "orange"
RED: Final = "red"

# Every panel follows the dashboard's data source variable.
DATASOURCE: Final = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")

# Columns of the grid, which has 24, that a panel takes unless it is configured otherwise.
HALF: Final = 12
STAT_HEIGHT: Final = 4
GRAPH_HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel and the legend of its series."""

    expr: str
    legend: str


def per_second(metric: Metric, *attributes: str) -> Query:
    """How often the API counted, or measured, per second, by some attributes of a metric.

    Raises:
        ValueError: the metric doesn't carry an attribute.
    """
    series = metric.prometheus + ("_count" if metric.kind == "histogram" else "")
    expr = sum_by(metric, attributes, rate(select(series, *API_TARGET)))
    return Query(expr, legend(metric, *attributes))


def newest(metric: Metric, *attributes: str, where: tuple[str, ...] = (), word: str = "") -> Query:
    """The series of a metric as they are, distinguished by some of its attributes.

    Args:
        metric: a gauge of the vocabulary.
        attributes: what the legend shows.
        where: label matchers of its series.
        word: stands before the attributes in the legend.

    Raises:
        ValueError: the metric doesn't carry an attribute.
    """
    shown = f"{word} {legend(metric, *attributes)}".strip()
    return Query(select(metric.prometheus, *where), shown)


@dataclass(frozen=True, slots=True)
class State:
    """Word and colour that stand for a value."""

    text: str
    color: str


QUANTILE: Final = "histogram_quantile("


def _target(index: int, query: Query, *, instant: bool) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(DATASOURCE)
        .ref_id(chr(ord("A") + index))
        .expr(query.expr)
        .legend_format(query.legend)
    )
    if instant:
        return target.instant()
    # Of a histogram, the requests that were traced are dots that lead to their traces.
    return target.range().exemplar(True) if QUANTILE in query.expr else target.range()  # noqa: FBT003 - the SDK's


def _thresholds(limit: float | None) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(value=None, color=GREEN)]
    if limit is not None:
        steps.append(model.Threshold(value=limit, color=RED))
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _stat(title: str, description: str, query: Query) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_target(0, query, instant=True))
        .span(HALF)
        .height(STAT_HEIGHT)
        .thresholds(_thresholds(None))
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
    )


def status(
    title: str, description: str, query: Query, *, states: Mapping[str, State]
) -> stat.Panel:
    """A coloured word per series, which stands for its newest value.

    Args:
        title: title of the panel.
        description: what it means, shown on hover.
        query: an instant query.
        states: value to the word and colour for it.
    """
    options = {
        value: model.ValueMappingResult(text=state.text, color=state.color, index=index)
        for index, (value, state) in enumerate(states.items())
    }
    panel = _stat(title, description, query)
    return panel.mappings([model.ValueMap(options=options)])


def named(title: str, description: str, query: Query, *, colors: Mapping[str, str]) -> stat.Panel:
    """The names of the series that the query yields, in the colour given for each name."""
    panel = _stat(title, description, query).text_mode(common_model.BigValueTextMode.NAME)
    for name, color in colors.items():
        panel = panel.override_by_name(name, [_fixed_color(color)])
    return panel


def number(title: str, description: str, query: Query, *, unit: str) -> stat.Panel:
    """The newest value of each series, in ``unit``."""
    return _stat(title, description, query).unit(unit).decimals(0)


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    limit: float | None = None,
    dashed: str | None = None,
) -> timeseries.Panel:
    """Lines over time with a legend table of their last and highest values.

    Args:
        title: title of the panel.
        description: what it means, shown on hover.
        queries: its range queries.
        unit: Grafana's id of the unit.
        limit: value that an alert compares with, drawn as a dashed line.
        dashed: pattern of the names of series that are drawn dashed and red, for thresholds.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(HALF)
        .height(GRAPH_HEIGHT)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common_model.VisibilityMode.NEVER)
        .thresholds(_thresholds(limit))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.TABLE)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
    )
    for index, query in enumerate(queries):
        panel = panel.with_target(_target(index, query, instant=False))
    if limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(
            common_model.GraphThresholdsStyleMode.DASHED
        )
        panel = panel.thresholds_style(style)
    if dashed:
        line = {"fill": "dash", "dash": [10, 10]}
        properties = [_fixed_color(RED), model.DynamicConfigValue("custom.lineStyle", line)]
        panel = panel.override_by_regexp(dashed, properties)
    return panel


def _fixed_color(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
