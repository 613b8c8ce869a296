"""The timeline: phases, faults, alerts and notifications over what was measured."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from testbed.checks.alerts import episodes
from testbed.facts.rulecharts import alert_of
from testbed.percentiles import percentile
from testbed.texts import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.charts import Chart
    from testbed.evidence import Evidence
    from testbed.records import StoredEvent
    from testbed.verdict import Verdict

# Distinguishable with the common kinds of colour blindness, on light and dark ground.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#3a86c8", "#e08a1e", "#1d9a6c", "#d1495b", "#9a6fb0", "#8a8f98",
)  # fmt: skip
CYCLE: Final = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
COLOURS: Final = {
    "p50": GREEN, "p95": ORANGE, "p99": RED, "5xx": RED, "ratio": PURPLE, "threshold": GREY,
    "limit": GREY,
}  # fmt: skip
# Status of a notification, symbol, its colour and that of its edge.
MARKS: Final = (
    ("firing", "triangle-down", "#ffffff", "#7a1626"),
    ("resolved", "circle", GREEN, "#ffffff"),
)
CLEAR: Final = "rgba(0,0,0,0)"
BARE: Final[dict[str, Any]] = {
    "template": "none",
    "paper_bgcolor": CLEAR,
    "plot_bgcolor": CLEAR,
    "modebar": {"bgcolor": CLEAR},
}
"""Of every figure: no colour of its own for ground and text, for the page sets those."""
LANE_HEIGHT, CHART_HEIGHT, MARGIN = 26, 150, 110
BINS: Final = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a lane of the timeline; seconds after the load began."""

    lane: str
    start: float
    end: float
    colour: str
    text: str


def origin_of(verdict: Verdict) -> float:
    """Unix time from which the report counts: the load's start, else the run's."""
    return verdict.phases[0].start if verdict.phases else verdict.started_at


def build_figure(verdict: Verdict, evidence: Evidence) -> go.Figure:
    """The figure, with no colour of its own for ground and text: the page sets those."""
    origin = origin_of(verdict)
    charts = [chart for chart in shown_charts(verdict, evidence) if chart.key != "up"]
    bars = [*_fault_bars(evidence, origin), *_alert_bars(evidence, origin)]
    marks = _notification_marks(evidence, origin)
    # An alert that failed has its row, too, where nothing of it was ever seen.
    lanes = list(dict.fromkeys([*(bar.lane for bar in bars), *marks, *_failed_alerts(verdict)]))
    heights = [max(LANE_HEIGHT * (len(lanes) + 1), 60), *(CHART_HEIGHT for _ in charts)]
    figure = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=min(0.05, 34 / sum(heights)),
        row_heights=heights,
        subplot_titles=["Faults and alerts", *(_plain(f"{c.title} ({c.unit})") for c in charts)],
    )
    # Titles of the rows stand at the left edge, out of the way of the names of the phases.
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    _draw_lanes(figure, lanes, bars, marks)
    for row, chart in enumerate(charts, start=2):
        _draw_chart(figure, row, chart, origin)
        _draw_load(figure, row, chart.key, evidence, origin)
    _draw_phases(figure, verdict, origin)
    figure.update_xaxes(showgrid=True, zeroline=False, range=_range(verdict, origin))
    figure.update_xaxes(title_text="seconds after the load began", row=len(heights), col=1)
    figure.update_yaxes(rangemode="tozero", zeroline=False)
    figure.update_layout(
        **BARE,
        height=sum(heights) + MARGIN + 34 * len(heights),
        margin={"l": 150, "r": 130, "t": 70, "b": 50},
        hovermode="x",
        barmode="overlay",
        showlegend=True,
        legend={"tracegroupgap": 12},
    )
    return figure


def shown_charts(verdict: Verdict, evidence: Evidence) -> list[Chart]:
    """Those of the system, and of rules whose alerts failed."""
    failed = _failed_alerts(verdict)
    charts = evidence.snapshot.charts
    return [chart for chart in charts if (alert := alert_of(chart)) is None or alert in failed]


def _failed_alerts(verdict: Verdict) -> list[str]:
    return list(dict.fromkeys(row.alert for row in verdict.alerts if not row.passed))


def phase_table(verdict: Verdict, chart: Chart) -> list[tuple[str, str, str, str]]:
    """The chart in numbers: line, phase, mean and greatest value; for those who don't see it."""
    rows = []
    for line in chart.lines:
        for phase in verdict.phases:
            values = [v for t, v in line.points if phase.start <= t < phase.end and v is not None]
            if values:
                mean = sum(values) / len(values)
                rows.append(
                    (line.name, phase.name, _value(chart, mean), _value(chart, max(values)))
                )
    return rows


def _value(chart: Chart, value: float) -> str:
    return number(value, "ratio" if chart.unit == "ratio" else "")


def _range(verdict: Verdict, origin: float) -> list[float]:
    return [verdict.started_at - origin, verdict.ended_at - origin]


def _draw_phases(figure: go.Figure, verdict: Verdict, origin: float) -> None:
    for index, phase in enumerate(verdict.phases):
        start, end = phase.start - origin, phase.end - origin
        # In paper coordinates of the y axis: one band through all rows.
        figure.add_shape(
            type="rect", xref="x", yref="paper", x0=start, x1=end, y0=0, y1=1, layer="below",
            line={"width": 0}, fillcolor="#8a8f98", opacity=0.16 if index % 2 else 0.06,
        )  # fmt: skip
        figure.add_annotation(
            xref="x", yref="paper", x=(start + end) / 2, y=1, yshift=36, showarrow=False,
            text=f"<b>{_plain(phase.name)}</b>",
        )  # fmt: skip


def _draw_lanes(
    figure: go.Figure, lanes: Sequence[str], bars: Iterable[Bar], marks: dict[str, list[Any]]
) -> None:
    for bar in bars:
        figure.add_trace(
            go.Bar(
                base=[bar.start], x=[bar.end - bar.start], y=[_plain(bar.lane)], orientation="h",
                marker={"color": bar.colour}, width=0.6, hovertext=_plain(bar.text),
                hoverinfo="text", showlegend=False,
            ),
            row=1, col=1,
        )  # fmt: skip
    for name, symbol, colour, edge in MARKS:
        points = [(t, lane) for lane, found in marks.items() for t, kind in found if kind == name]
        if points:
            figure.add_trace(
                go.Scatter(
                    x=[t for t, _ in points], y=[_plain(lane) for _, lane in points],
                    mode="markers", name=f"notified: {name}", legendgroup="notified",
                    marker={
                        "symbol": symbol, "size": 11, "color": colour,
                        "line": {"width": 1.5, "color": edge},
                    },
                    hovertemplate=f"notified: {name}, %{{x:.1f}} s<extra></extra>",
                ),
                row=1, col=1,
            )  # fmt: skip
    order = [_plain(lane) for lane in lanes]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=order[::-1], showgrid=False,
        row=1, col=1,
    )  # fmt: skip


def _draw_chart(figure: go.Figure, row: int, chart: Chart, origin: float) -> None:
    for index, line in enumerate(chart.lines):
        figure.add_trace(
            go.Scatter(
                x=[round(time - origin, 3) for time, _ in line.points],
                y=[value for _, value in line.points],
                name=_plain(f"{_title(chart.key, line.name)}"),
                mode="lines",
                legendgroup=chart.key,
                legendgrouptitle={"text": _plain(chart.title)},
                line={
                    "color": _colour(chart.key, line.name, index),
                    "width": 1.8,
                    "dash": "dash" if line.name in {"threshold", "limit"} else "solid",
                },
                hovertemplate="%{y:.4g}",
            ),
            row=row,
            col=1,
        )
    if chart.unit == "ratio":
        figure.update_yaxes(tickformat=".0%", row=row, col=1)


def _draw_load(figure: go.Figure, row: int, key: str, evidence: Evidence, origin: float) -> None:
    """What the load itself saw, beside what was measured."""
    requests = evidence.truth.requests
    if key not in {"rate", "latency"} or not requests:
        return
    first = min(request.sent_at for request in requests)
    width = max(1.0, (max(request.sent_at for request in requests) - first) / BINS)
    bins: dict[int, list[float]] = {}
    for request in requests:
        bins.setdefault(int((request.sent_at - first) / width), []).append(request.latency)
    filled = sorted(bins.items())
    name = "sent by the load" if key == "rate" else "p95 seen by the load"
    figure.add_trace(
        go.Scatter(
            x=[round(first + (index + 0.5) * width - origin, 3) for index, _ in filled],
            y=[
                len(values) / width if key == "rate" else percentile(values, 0.95)
                for _, values in filled
            ],
            name=name,
            mode="lines",
            legendgroup=key,
            line={"color": GREY, "width": 1.4, "dash": "dot"},
            hovertemplate="%{y:.4g}",
        ),
        row=row,
        col=1,
    )


def _fault_bars(evidence: Evidence, origin: float) -> list[Bar]:
    """Faults from switched on to switched off."""
    bars: list[Bar] = []
    running: list[StoredEvent] = []
    for event in evidence.timeline:
        if event.event == "fault_on":
            running.append(event)
        elif event.event == "fault_off" and running:
            bars.append(_fault_bar(_match(running, event), event.time, origin))
    over = evidence.snapshot.ended_at
    bars += [_fault_bar(event, over, origin) for event in running]
    return bars


def _match(running: list[StoredEvent], off: StoredEvent) -> StoredEvent:
    """The fault that ends: the one that speaks of the same part, else the latest."""
    part = off.name.split(" ")[0]
    same = [event for event in running if event.name.split(" ")[0] == part]
    ended = (same or running)[-1]
    running.remove(ended)
    return ended


def _fault_bar(event: StoredEvent, end: float, origin: float) -> Bar:
    return Bar("fault", event.time - origin, end - origin, ORANGE, f"fault: {event.name}")


def _alert_bars(evidence: Evidence, origin: float) -> list[Bar]:
    bars = []
    for span in evidence.snapshot.spans:
        colour = RED if span.state == "firing" else "rgba(209,73,91,0.35)"
        text = f"{span.alert} {span.state} for {span.end - span.start:.1f} s"
        end = max(span.end, span.start + 0.1)
        bars.append(Bar(span.alert, span.start - origin, end - origin, colour, text))
    return bars


def _notification_marks(evidence: Evidence, origin: float) -> dict[str, list[Any]]:
    marks: dict[str, list[Any]] = {}
    for episode in episodes(evidence.notifications):
        lane = marks.setdefault(episode.alert, [])
        lane.append((episode.notified_at - origin, "firing"))
        if episode.resolved_at is not None:
            lane.append((episode.resolved_at - origin, "resolved"))
    return marks


def _title(key: str, name: str) -> str:
    return f"status {name}" if key == "rate" else name


def _colour(key: str, name: str, index: int) -> str:
    if key == "rate":
        return {"2": BLUE, "4": ORANGE, "5": RED}.get(name[:1], GREY)
    return COLOURS.get(name, CYCLE[index % len(CYCLE)])


def _plain(text: str) -> str:
    """Text that Plotly must not read as its markup."""
    return html.escape(text, quote=False)


def summary(verdict: Verdict, evidence: Evidence) -> str:
    """The figure in one sentence."""
    phases = ", ".join(phase.name for phase in verdict.phases) or "none"
    fired = Counter(episode.alert for episode in episodes(evidence.notifications))
    alerts = ", ".join(f"{name} ({n})" for name, n in sorted(fired.items())) or "none"
    return f"Phases: {phases}. Alerts that were notified, with their number: {alerts}."
