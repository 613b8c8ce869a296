"""A study of relations as points of the telemetry vocabulary. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_otel.names import Metric

    from testbed_drift.relations.contributions import Contributions
    from testbed_drift.relations.study import Relations

    Point = tuple[Metric, float, dict[str, str]]

METRICS: Final = (
    names.RELATIONS_SCORE,
    names.RELATIONS_THRESHOLD,
    names.RELATIONS_DETECTED,
    names.FEATURE_CONTRIBUTION,
    names.FEATURE_DRIFT_EFFECT,
)


def points(found: Relations) -> Iterator[Point]:
    """Metric, value and attributes beside the model's version."""
    for check, comparison, drifted in found.comparisons():
        yield names.RELATIONS_DETECTED, float(drifted), {names.CHECK: check}
        for score in (comparison.test, comparison.effect):
            yield names.RELATIONS_SCORE, score.value, {names.METHOD: score.method}
            yield names.RELATIONS_THRESHOLD, score.threshold, {names.METHOD: score.method}
    if found.contributions:
        yield from _contributions(found.contributions)


def _contributions(found: Contributions) -> Iterator[Point]:
    for one in found.columns:
        both = {"reference": one.reference, "current": one.current}
        for window, value in both.items():
            attributes = {names.COLUMN: one.column, names.WINDOW: window}
            yield names.FEATURE_CONTRIBUTION, value, attributes
        if one.effect is not None:
            yield names.FEATURE_DRIFT_EFFECT, one.effect, {names.COLUMN: one.column}
