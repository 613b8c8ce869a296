"""When Prometheus held an alert pending or firing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from testbed.clients.prometheus import Series


class AlertSpan(StoredModel):
    """A stretch of time in which Prometheus held one alert pending or firing."""

    alert: str
    labels: dict[str, str]
    state: Literal["pending", "firing"]
    start: float
    end: float


def alert_spans(series: Iterable[Series], gap: Callable[[str], float]) -> tuple[AlertSpan, ...]:
    """Join raw samples of ``ALERTS`` to spans.

    Args:
        series: the samples.
        gap: by the alert's name: a pause of more seconds splits a span.
    """
    spans: list[AlertSpan] = []
    for item in series:
        labels = {k: v for k, v in item.labels.items() if k not in {"__name__", "alertstate"}}
        state: Literal["pending", "firing"] = (
            "firing" if item.labels.get("alertstate") == "firing" else "pending"
        )
        alert = labels.get("alertname", "")
        for start, end in _stretches([time for time, _ in item.points], gap(alert)):
            spans.append(AlertSpan(alert=alert, labels=labels, state=state, start=start, end=end))
    return tuple(sorted(spans, key=lambda span: (span.start, span.alert, span.state)))


def _stretches(times: Sequence[float], gap: float) -> list[tuple[float, float]]:
    stretches: list[tuple[float, float]] = []
    for time in times:
        if stretches and time - stretches[-1][1] <= gap:
            stretches[-1] = (stretches[-1][0], time)
        else:
            stretches.append((time, time))
    return stretches
