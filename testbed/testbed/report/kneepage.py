"""The knee of a capacity search as a page: latency by rate, with objective and capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import plotly.graph_objects as go

from testbed.report.figure import BARE, BLUE, GREEN, GREY, RED
from testbed.report.knee import by_rate, duration
from testbed.report.pages import figure_context, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.capacity import CapacityResult

HEIGHT: Final = 420
LINES: Final = (("p50", GREEN), ("p99", RED))


def knee_page(found: CapacityResult) -> str:
    """The whole page; everything that comes from the search is escaped."""
    context = {"found": found, "steps": by_rate(found), **figure_context(knee_figure(found))}
    return render("capacity.html.j2", context, {"duration": duration})


def knee_figure(found: CapacityResult) -> go.Figure:
    """Both percentiles by rate, on logarithmic scales."""
    steps = by_rate(found)
    rates = [step.rate for step in steps]
    figure = go.Figure()
    for name, colour in LINES:
        figure.add_scatter(
            x=rates, y=[getattr(step, name) for step in steps], name=name, mode="lines+markers",
            line={"color": colour, "width": 1.8}, hovertemplate="%{y:.4g} s",
        )  # fmt: skip
    limit = found.objective.latency
    _draw_limit(figure, f"objective: {duration(limit)}", GREY, [rates[0], rates[-1]], [limit] * 2)
    if found.capacity is not None:
        known = [limit, *(value for s in steps for value in (s.p50, s.p99) if value is not None)]
        ends = [min(known), max(known)]
        _draw_limit(figure, f"capacity: {found.capacity:g}/s", BLUE, [found.capacity] * 2, ends)
    figure.update_xaxes(type="log", title_text="requests per second", tickvals=rates)
    figure.update_yaxes(type="log", title_text="seconds")
    figure.update_layout(
        **BARE, height=HEIGHT, margin={"l": 80, "r": 80, "t": 40, "b": 60}, hovermode="x"
    )
    return figure


def _draw_limit(
    figure: go.Figure, name: str, colour: str, x: Sequence[float], y: Sequence[float]
) -> None:
    """A dashed line, as a trace: a shape of Plotly takes no value on a logarithmic axis."""
    line = {"color": colour, "width": 1.4, "dash": "dash"}
    figure.add_scatter(x=x, y=y, name=name, mode="lines", line=line, hoverinfo="skip")
