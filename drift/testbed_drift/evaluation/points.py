"""What a run found as points of the telemetry vocabulary. Pure.

Whoever shows numbers of a run takes them from here: gauges and what reads them, groups, Evidently's
workspace and the tracking server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from testbed_otel import names

from testbed_drift.evaluation.decision import Action, Cause
from testbed_drift.evaluation.segmentdrift import STATES as SEGMENT_STATES
from testbed_drift.quality.performance import STATES
from testbed_drift.quality.trial import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_otel.names import Metric

    from testbed_drift.evaluation.assessment import Assessment
    from testbed_drift.evaluation.results import RunFinding, RunResult
    from testbed_drift.evaluation.segmentdrift import SegmentDrift
    from testbed_drift.quality.concept import ConceptDrift
    from testbed_drift.quality.data import DataQuality
    from testbed_drift.quality.estimation import Estimate
    from testbed_drift.quality.performance import LabelFlow, Performance
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.relations.contributions import Contributions
    from testbed_drift.relations.study import Relations
    from testbed_drift.scoring.scores import ColumnDrift

OF_ASSESSMENT: Final = (
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
OF_RELATIONS: Final = (
    names.RELATIONS_SCORE,
    names.RELATIONS_THRESHOLD,
    names.RELATIONS_DETECTED,
    names.FEATURE_CONTRIBUTION,
    names.FEATURE_DRIFT_EFFECT,
)
OF_SEGMENTS: Final = (
    names.DRIFT_SEGMENT_RATIO,
    names.DRIFT_SEGMENT_SCORE,
    names.DRIFT_SEGMENT_ROWS,
    names.DRIFT_SEGMENTS,
)
OF_RETRAINING: Final = (
    names.RETRAINING_STATE,
    names.RETRAINING_SCORE,
    names.RETRAINING_P_VALUE,
    names.RETRAINING_ROWS,
    names.RETRAINING_DURATION,
    names.RETRAINING_TIME,
)
_PREDICTION: Final = (
    names.PREDICTION_DRIFT,
    names.PREDICTION_DRIFT_THRESHOLD,
    names.PREDICTION_DRIFT_DETECTED,
)
_TARGET: Final = (names.TARGET_DRIFT, names.TARGET_DRIFT_THRESHOLD, names.TARGET_DRIFT_DETECTED)
OF_FINDING: Final = (
    names.DRIFT_COLUMN_SCORE,
    names.DRIFT_COLUMN_THRESHOLD,
    names.DRIFT_COLUMN_DETECTED,
    names.DRIFT_RATIO,
    names.DRIFT_RATIO_THRESHOLD,
    *_TARGET,
    *_PREDICTION,
    names.DRIFT_DECISION,
    names.DRIFT_CAUSE,
    names.DRIFT_WINDOW_ROWS,
    names.DRIFT_WINDOW_NEWEST,
    *OF_ASSESSMENT,
    *OF_SEGMENTS,
    *OF_RELATIONS,
)
"""Of the model; the version is an attribute that the publisher adds."""
OF_JOB: Final = (names.DRIFT_RUN_DURATION, names.DRIFT_LAST_RUN, names.DRIFT_LAST_COMPLETED)
"""Of the job, whatever it watches."""


class Point(NamedTuple):
    """A number of a run."""

    metric: Metric
    value: float
    attributes: dict[str, str]


def points_of(result: RunResult) -> Iterator[Point]:
    """All numbers of a run, those of the job itself first; some may not be finite."""
    yield Point(names.DRIFT_RUN_DURATION, result.seconds, {})
    yield Point(names.DRIFT_LAST_RUN, result.ended, {names.OUTCOME: result.outcome})
    if result.outcome != "error":
        yield Point(names.DRIFT_LAST_COMPLETED, result.ended, {})
    if result.finding:
        yield from _finding(result.finding)


def _finding(found: RunFinding) -> Iterator[Point]:
    scores = found.scores
    yield Point(names.DRIFT_RATIO, scores.ratio, {})
    yield Point(names.DRIFT_RATIO_THRESHOLD, found.policy.alert_share, {})
    for action in Action:
        chosen = found.decision.action is action
        yield Point(names.DRIFT_DECISION, float(chosen), {names.DECISION: str(action)})
    for cause in Cause:
        yield Point(names.DRIFT_CAUSE, float(cause in found.decision.causes), {names.CAUSE: cause})
    for window, which in ((found.reference, "reference"), (found.current, "current")):
        yield Point(names.DRIFT_WINDOW_ROWS, window.rows, {names.WINDOW: which})
        if window.newest is not None:
            yield Point(names.DRIFT_WINDOW_NEWEST, window.newest, {names.WINDOW: which})
    for column in scores.columns:
        yield from _column(column)
    yield from _class(_PREDICTION, scores.prediction)
    if scores.target:
        yield from _class(_TARGET, scores.target)
    if found.assessment:
        yield from of_assessment(found.assessment)
    if found.relations:
        yield from of_relations(found.relations)
    yield from of_segments(found.segments)


def _column(column: ColumnDrift) -> Iterator[Point]:
    for score in column.scores:
        attributes = {names.COLUMN: column.column, names.METHOD: score.method}
        yield Point(names.DRIFT_COLUMN_SCORE, score.value, attributes)
        yield Point(names.DRIFT_COLUMN_THRESHOLD, score.threshold, attributes)
    detected = float(column.drifted)
    yield Point(names.DRIFT_COLUMN_DETECTED, detected, {names.COLUMN: column.column})


def _class(metrics: tuple[Metric, Metric, Metric], column: ColumnDrift) -> Iterator[Point]:
    value, threshold, detected = metrics
    for score in column.scores:
        yield Point(value, score.value, {names.METHOD: score.method})
        yield Point(threshold, score.threshold, {names.METHOD: score.method})
    yield Point(detected, float(column.drifted), {})


def of_assessment(found: Assessment) -> Iterator[Point]:
    """Performance, estimates, labels, concept and data of a window."""
    bases = {
        "reference": found.reference.scores,
        "realised": found.current.scores,
        "estimated": found.estimate.scores or {},
    }
    for basis, scores in bases.items():
        for score, value in scores.items():
            yield Point(names.PERFORMANCE_SCORE, value, {names.BASIS: basis, names.SCORE: score})
    if found.estimate.standard_error is not None:
        yield Point(names.PERFORMANCE_ESTIMATE_ERROR, found.estimate.standard_error, {})
    for segment, part in found.segments.items():
        for score, value in part.scores.items():
            attributes = {names.SEGMENT: segment, names.SCORE: score}
            yield Point(names.PERFORMANCE_SEGMENT_SCORE, value, attributes)
    yield from _estimates(found.estimates)
    yield from _confusion(found.current)
    for state in STATES:
        current = float(found.current.state == state)
        yield Point(names.PERFORMANCE_STATE, current, {names.STATE: state})
    yield from _labels(found.labels)
    yield from _concept(found.concept)
    yield from _quality(found.quality)


def of_relations(found: Relations) -> Iterator[Point]:
    """What no single column shows."""
    for check, comparison, drifted in found.comparisons():
        yield Point(names.RELATIONS_DETECTED, float(drifted), {names.CHECK: check})
        for score in (comparison.test, comparison.effect):
            yield Point(names.RELATIONS_SCORE, score.value, {names.METHOD: score.method})
            yield Point(names.RELATIONS_THRESHOLD, score.threshold, {names.METHOD: score.method})
    if found.contributions:
        yield from _contributions(found.contributions)


def _contributions(found: Contributions) -> Iterator[Point]:
    for one in found.columns:
        both = {"reference": one.reference, "current": one.current}
        for window, value in both.items():
            attributes = {names.COLUMN: one.column, names.WINDOW: window}
            yield Point(names.FEATURE_CONTRIBUTION, value, attributes)
        if one.effect is not None:
            yield Point(names.FEATURE_DRIFT_EFFECT, one.effect, {names.COLUMN: one.column})


def of_segments(segments: Sequence[SegmentDrift]) -> Iterator[Point]:
    """Drift within segments, in their order."""
    for found in segments:
        segment = {names.SEGMENT: found.name}
        rows = {"reference": found.reference_rows, "current": found.rows}
        for window, number in rows.items():
            yield Point(names.DRIFT_SEGMENT_ROWS, number, {**segment, names.WINDOW: window})
        if found.scores is None:
            continue
        yield Point(names.DRIFT_SEGMENT_RATIO, found.scores.ratio, segment)
        for column in found.scores.columns:
            for score in column.scores:
                of = {names.COLUMN: column.column, names.METHOD: score.method}
                yield Point(names.DRIFT_SEGMENT_SCORE, score.value, {**segment, **of})
    for state in SEGMENT_STATES if segments else ():
        number = sum(found.state == state for found in segments)
        yield Point(names.DRIFT_SEGMENTS, number, {names.STATE: state})


def of_retraining(found: Retraining) -> Iterator[Point]:
    """What a training came to."""
    for outcome in OUTCOMES:
        ended = {names.MODEL_VERSION: found.champion, names.OUTCOME: outcome}
        yield Point(names.RETRAINING_STATE, float(outcome == found.outcome), ended)
    yield Point(names.RETRAINING_DURATION, found.seconds, {})
    yield Point(names.RETRAINING_TIME, found.started + found.seconds, {})
    if found.trial is None:
        return
    yield Point(names.RETRAINING_P_VALUE, found.trial.p_value, {})
    yield Point(names.RETRAINING_ROWS, float(found.trial.rows), {})
    for role, scores in (
        ("champion", found.trial.champion),
        ("challenger", found.trial.challenger),
    ):
        for score, value in scores.items():
            yield Point(names.RETRAINING_SCORE, value, {names.ROLE: role, names.SCORE: score})


def _estimates(segments: Mapping[str, Estimate]) -> Iterator[Point]:
    for segment, found in segments.items():
        for score, value in (found.scores or {}).items():
            attributes = {names.SEGMENT: segment, names.SCORE: score}
            yield Point(names.PERFORMANCE_SEGMENT_ESTIMATE, value, attributes)
        if found.standard_error is not None:
            error = found.standard_error
            yield Point(names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR, error, {names.SEGMENT: segment})


def _confusion(found: Performance) -> Iterator[Point]:
    if not found.labels:
        return
    for true, row in zip(found.classes, found.confusion.tolist(), strict=True):
        for predicted, rows in zip(found.classes, row, strict=True):
            attributes = {names.TRUE_CLASS: true, names.PREDICTION_CLASS: predicted}
            yield Point(names.PERFORMANCE_CONFUSION, rows, attributes)


def _labels(found: LabelFlow) -> Iterator[Point]:
    if found.coverage is not None:
        yield Point(names.LABEL_COVERAGE, found.coverage, {})
    for ratio, seconds in found.delay.items():
        yield Point(names.LABEL_DELAY, seconds, {names.QUANTILE: f"{ratio:g}"})


def _concept(found: ConceptDrift) -> Iterator[Point]:
    if found.rises:
        yield Point(names.CONCEPT_DETECTED, float(found.drifted), {})
    for rise in found.rises:
        for score in rise.scores:
            yield Point(names.CONCEPT_SCORE, score.value, {names.METHOD: score.method})
            yield Point(names.CONCEPT_THRESHOLD, score.threshold, {names.METHOD: score.method})


def _quality(found: DataQuality) -> Iterator[Point]:
    for column in found.columns:
        for check, ratio in column.ratios.items():
            attributes = {names.COLUMN: column.column, names.CHECK: check}
            yield Point(names.QUALITY_COLUMN, ratio, attributes)
    ratios = {"reference": found.reference_duplicated, "current": found.duplicated}
    for window, duplicated in ratios.items():
        if duplicated is not None:
            yield Point(names.QUALITY_DUPLICATED, duplicated, {names.WINDOW: window})
