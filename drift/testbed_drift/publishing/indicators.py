"""An assessment as points of the telemetry vocabulary. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed_drift.quality.performance import STATES
from testbed_drift.quality.trial import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed_otel.names import Metric

    from testbed_drift.evaluation.assessment import Assessment
    from testbed_drift.quality.concept import ConceptDrift
    from testbed_drift.quality.data import DataQuality
    from testbed_drift.quality.estimation import Estimate
    from testbed_drift.quality.performance import LabelFlow, Performance
    from testbed_drift.quality.trial import Retraining

    Point = tuple[Metric, float, dict[str, str]]

METRICS: Final = (
    names.PERFORMANCE_SCORE,
    names.PERFORMANCE_ESTIMATE_ERROR,
    names.PERFORMANCE_SEGMENT_SCORE,
    names.PERFORMANCE_SEGMENT_ESTIMATE,
    names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR,
    names.PERFORMANCE_CONFUSION,
    names.PERFORMANCE_STATE,
    names.LABEL_COVERAGE,
    names.LABEL_DELAY,
    names.CONCEPT_SCORE,
    names.CONCEPT_THRESHOLD,
    names.CONCEPT_DETECTED,
    names.QUALITY_COLUMN,
    names.QUALITY_DUPLICATED,
)


RETRAINING_METRICS: Final = (
    names.RETRAINING_STATE,
    names.RETRAINING_SCORE,
    names.RETRAINING_P_VALUE,
    names.RETRAINING_ROWS,
    names.RETRAINING_DURATION,
    names.RETRAINING_TIME,
)


def retraining_points(found: Retraining) -> Iterator[Point]:
    """Metric, value and attributes of a training."""
    for outcome in OUTCOMES:
        ended = {names.MODEL_VERSION: found.champion, names.OUTCOME: outcome}
        yield names.RETRAINING_STATE, float(outcome == found.outcome), ended
    yield names.RETRAINING_DURATION, found.seconds, {}
    yield names.RETRAINING_TIME, found.started + found.seconds, {}
    if found.trial is None:
        return
    yield names.RETRAINING_P_VALUE, found.trial.p_value, {}
    yield names.RETRAINING_ROWS, float(found.trial.rows), {}
    for role, scores in (
        ("champion", found.trial.champion),
        ("challenger", found.trial.challenger),
    ):
        for score, value in scores.items():
            yield names.RETRAINING_SCORE, value, {names.ROLE: role, names.SCORE: score}


def points(found: Assessment) -> Iterator[Point]:
    """Metric, value and attributes beside the model's version."""
    bases = {
        "reference": found.reference.scores,
        "realised": found.current.scores,
        "estimated": found.estimate.scores or {},
    }
    for basis, scores in bases.items():
        for score, value in scores.items():
            yield names.PERFORMANCE_SCORE, value, {names.BASIS: basis, names.SCORE: score}
    if found.estimate.standard_error is not None:
        yield names.PERFORMANCE_ESTIMATE_ERROR, found.estimate.standard_error, {}
    for segment, part in found.segments.items():
        for score, value in part.scores.items():
            attributes = {names.SEGMENT: segment, names.SCORE: score}
            yield names.PERFORMANCE_SEGMENT_SCORE, value, attributes
    yield from _estimates(found.estimates)
    yield from _confusion(found.current)
    for state in STATES:
        current = float(found.current.state == state)
        yield names.PERFORMANCE_STATE, current, {names.STATE: state}
    yield from _labels(found.labels)
    yield from _concept(found.concept)
    yield from _quality(found.quality)


def _estimates(segments: Mapping[str, Estimate]) -> Iterator[Point]:
    for segment, found in segments.items():
        for score, value in (found.scores or {}).items():
            attributes = {names.SEGMENT: segment, names.SCORE: score}
            yield names.PERFORMANCE_SEGMENT_ESTIMATE, value, attributes
        if found.standard_error is not None:
            error = found.standard_error
            yield names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR, error, {names.SEGMENT: segment}


def _confusion(found: Performance) -> Iterator[Point]:
    if not found.labels:
        return
    for true, row in zip(found.classes, found.confusion.tolist(), strict=True):
        for predicted, rows in zip(found.classes, row, strict=True):
            attributes = {names.TRUE_CLASS: true, names.PREDICTION_CLASS: predicted}
            yield names.PERFORMANCE_CONFUSION, rows, attributes


def _labels(found: LabelFlow) -> Iterator[Point]:
    if found.coverage is not None:
        yield names.LABEL_COVERAGE, found.coverage, {}
    for share, seconds in found.delay.items():
        yield names.LABEL_DELAY, seconds, {names.QUANTILE: f"{share:g}"}


def _concept(found: ConceptDrift) -> Iterator[Point]:
    if found.rises:
        yield names.CONCEPT_DETECTED, float(found.drifted), {}
    for rise in found.rises:
        for score in rise.scores:
            yield names.CONCEPT_SCORE, score.value, {names.METHOD: score.method}
            yield names.CONCEPT_THRESHOLD, score.threshold, {names.METHOD: score.method}


def _quality(found: DataQuality) -> Iterator[Point]:
    for column in found.columns:
        for check, share in column.shares.items():
            attributes = {names.COLUMN: column.column, names.CHECK: check}
            yield names.QUALITY_COLUMN, share, attributes
    shares = {"reference": found.reference_duplicated, "current": found.duplicated}
    for window, duplicated in shares.items():
        if duplicated is not None:
            yield names.QUALITY_DUPLICATED, duplicated, {names.WINDOW: window}
