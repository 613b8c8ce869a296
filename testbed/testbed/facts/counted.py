"""What the API counted, series by series put into the children that the truth speaks of; pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.facts.children import ChildKey, Points
from testbed.facts.expectations import (
    ABSOLUTE_ERROR,
    ALL,
    BUCKET,
    CLASS,
    ERROR_TYPE,
    ERRORS,
    INFERENCE_COUNT,
    KPI,
    LABELS_ROUTE,
    METHOD,
    NUMBER,
    OUTCOME,
    PROBABILITY,
    ROUTE,
    STATUS,
    VERSION,
    error_labels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.clients.prometheus import Series
    from testbed.facts.exposition import Page

# Metric, and the labels that distinguish its children.
COMPARED: Final[Mapping[str, tuple[str, ...]]] = {
    HTTP_COUNT: (METHOD, ROUTE, STATUS),
    names.PREDICTIONS.prometheus: (VERSION, CLASS),
    INFERENCE_COUNT: (VERSION,),
    f"{PROBABILITY}_count": (VERSION, CLASS),
    f"{PROBABILITY}_sum": (VERSION, CLASS),
    f"{PROBABILITY}_bucket": (VERSION, CLASS, BUCKET),
    f"{NUMBER}_count": (VERSION,),
    f"{NUMBER}_sum": (VERSION,),
    f"{NUMBER}_bucket": (VERSION, BUCKET),
    f"{ABSOLUTE_ERROR}_count": (VERSION,),
    f"{ABSOLUTE_ERROR}_sum": (VERSION,),
    f"{ABSOLUTE_ERROR}_bucket": (VERSION, BUCKET),
    names.PREDICTION_ERRORS.prometheus: (ERROR_TYPE,),
    names.DECISIONS.prometheus: (VERSION, OUTCOME),
    names.BUSINESS_COST.prometheus: (VERSION, KPI),
}
# Kinds of errors that are compared by themselves too; when they came is known of all together.
SINGLE: Final = ("injected", "model")
SINGLE_LABELS: Final = [error_labels((kind,)) for kind in SINGLE]
# Those of them that stand for all processes together: nothing says which one it was.
SUMMED: Final = {
    HTTP_COUNT,
    names.PREDICTION_ERRORS.prometheus,
    names.DECISIONS.prometheus,
    names.BUSINESS_COST.prometheus,
    *(f"{ABSOLUTE_ERROR}_{part}" for part in ("count", "sum", "bucket")),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """All that the API counted, by child."""

    values: Mapping[ChildKey, float]
    tracks: Mapping[ChildKey, Points]

    def of(self, *metrics: str) -> tuple[dict[ChildKey, float], dict[ChildKey, Points]]:
        """The children of these metrics."""
        return (
            {key: value for key, value in self.values.items() if key[1] in metrics},
            {key: points for key, points in self.tracks.items() if key[1] in metrics},
        )


def _child_keys(instance: str, metric: str, labels: Mapping[str, str]) -> list[ChildKey]:
    """The children that a series belongs to; none where it is not compared."""
    if metric not in COMPARED:
        return []
    own = {name: labels.get(name, "") for name in COMPARED[metric]}
    if metric == names.PREDICTION_ERRORS.prometheus:
        kind = own[ERROR_TYPE]
        groups = [kinds for kinds, _, _ in ERRORS if kind in kinds]
        groups += [(kind,)] if kind in SINGLE else []
        return [(ALL, metric, error_labels(kinds)) for kinds in groups]
    if metric == HTTP_COUNT and own[ROUTE] not in {PREDICT_ROUTE, LABELS_ROUTE}:
        return []
    if BUCKET in own:
        own[BUCKET] = repr(float(own[BUCKET]))
    return [(ALL if metric in SUMMED else instance, metric, tuple(sorted(own.items())))]


def values(pages: Mapping[str, Page]) -> dict[ChildKey, float]:
    """Final values by child; children that show 0 are left out."""
    found: defaultdict[ChildKey, float] = defaultdict(float)
    for instance, page in pages.items():
        for (metric, labels), value in page.values.items():
            for key in _child_keys(instance, metric, dict(labels)):
                found[key] += value
    return {key: value for key, value in found.items() if value}


def tracks(series: Sequence[Series], instances: Mapping[str, object]) -> dict[ChildKey, Points]:
    """Values through time; of what is summed over processes only where there is one."""
    found: defaultdict[ChildKey, defaultdict[float, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for each in series:
        instance = each.labels.get("instance", "")
        if instance not in instances:
            continue
        for key in _child_keys(instance, each.labels.get("__name__", ""), each.labels):
            if key[0] == ALL and (len(instances) > 1 or key[2] in SINGLE_LABELS):
                continue
            for time, value in each.points:
                found[key][time] += value
    return {key: tuple(sorted(points.items())) for key, points in found.items()}
