"""Final values of the counters that the API and Prometheus must agree on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families
from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE, StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.clients.prometheus import PrometheusClient

LABELS_ROUTE: Final = "/labels"

ROWS_ROUTES: Final = ("/predict/batch", "/predict/stream")
"""Routes that take many rows in one request."""

# Counters that are compared, and the attributes that distinguish their series.
COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    HTTP_COUNT: tuple(map(names.label, (names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS))),
    names.PREDICTIONS.prometheus: tuple(
        map(names.label, (names.MODEL_VERSION, names.PREDICTION_CLASS))
    ),
    names.PREDICTION_ERRORS.prometheus: (names.label(names.ERROR_TYPE),),
    names.LOG_ROWS.prometheus: (names.label(names.OUTCOME),),
    names.LABELS.prometheus: (names.label(names.OUTCOME),),
    names.REPLICA_STARTS.prometheus: (names.label(names.REASON),),
}

# Kept beside them, but not compared: it changes while it is asked for.
STATES: Final[Mapping[str, tuple[str, ...]]] = {names.LOG_SPOOLED.prometheus: ()}

COMPARED: Final = {**COUNTERS, **STATES}


class Count(StoredModel):
    """Final value of one counter series, reduced to the attributes that matter."""

    metric: str
    labels: dict[str, str]
    value: int

    @property
    def key(self) -> tuple[str, ...]:
        """Name and attribute values; equal for the same series in the API and in Prometheus."""
        return (self.metric, *(self.labels.get(name, "") for name in COMPARED[self.metric]))


def parse_counters(text: str) -> tuple[Count, ...]:
    """The counters that matter in a ``/metrics`` page.

    Raises:
        ValueError: the text is no Prometheus exposition.
    """
    return _counts(
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )


def _counts(samples: Iterable[tuple[str, Mapping[str, str], float]]) -> tuple[Count, ...]:
    totals: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for metric, labels, value in samples:
        wanted = COMPARED.get(metric)
        if wanted is None or (metric == HTTP_COUNT and not _of_load(labels)):
            continue
        totals[metric, tuple((name, labels.get(name, "")) for name in wanted)] += round(value)
    return tuple(
        Count(metric=metric, labels=dict(labels), value=value)
        for (metric, labels), value in sorted(totals.items())
    )


def _of_load(labels: Mapping[str, str]) -> bool:
    # Health checks and scrapes go on while the counters are read, so they can't be compared.
    loaded = {PREDICT_ROUTE, LABELS_ROUTE, *ROWS_ROUTES}
    return labels.get(names.label(names.HTTP_ROUTE)) in loaded


def compared(counts: Iterable[Count]) -> tuple[Count, ...]:
    """Those of the counts that Prometheus must hold just so."""
    return tuple(count for count in counts if count.metric in COUNTERS)


def final_counters(
    prometheus: PrometheusClient, *, at: float, window: float
) -> dict[str, tuple[Count, ...]]:
    """Raw final counters of every API instance, those that ended before ``at`` included."""
    samples: dict[str, list[tuple[str, Mapping[str, str], float]]] = {}
    for metric in COMPARED:
        selector = f'{metric}{{job="{names.JOB_API}"}}'
        for sample in prometheus.last_values(selector, at=at, window=window):
            instance = sample.labels.get("instance", "")
            samples.setdefault(instance, []).append((metric, sample.labels, sample.value))
    return {instance: _counts(found) for instance, found in sorted(samples.items())}


def behind(
    api_counters: Mapping[str, str | None],
    prometheus: PrometheusClient,
    *,
    at: float,
    window: float,
) -> int:
    """How far Prometheus is behind the API's counters, over all series; 0 when it holds them all.

    For waiting at the end of a run until the pipeline has drained.
    """
    stored = final_counters(prometheus, at=at, window=window)
    missing = 0
    for instance, text in api_counters.items():
        held = {count.key: count.value for count in stored.get(instance, ())}
        for count in compared(parse_counters(text) if text is not None else ()):
            missing += max(0, count.value - held.get(count.key, 0))
    return missing
