"""What a line of ``runs.jsonl`` says that the drift job must publish. Pure.

Written from the published schema of the line and from the telemetry vocabulary, and not with the
job's own code, so that a job that publishes something else than it wrote down is found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed_otel.names import Metric

    Record: TypeAlias = Mapping[str, Any]

Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""Name in Prometheus and the labels that distinguish series, sorted."""

SUCCESS: Final = "success"
OUTCOMES: Final = dict(names.DRIFT_RUNS.values)[names.OUTCOME]
COUNTERS: Final = (names.DRIFT_RUNS.prometheus, names.DRIFT_DETECTIONS.prometheus)
_CLASSES: Final = (
    (
        "prediction_drift",
        names.PREDICTION_DRIFT,
        names.PREDICTION_DRIFT_THRESHOLD,
        names.PREDICTION_DRIFT_DETECTED,
    ),
    (
        "target_drift",
        names.TARGET_DRIFT,
        names.TARGET_DRIFT_THRESHOLD,
        names.TARGET_DRIFT_DETECTED,
    ),
)
# What a record does not hold in full: when a calibration or a training was, and whose states.
_BESIDE: Final = frozenset(
    metric.prometheus
    for metric in names.DRIFT_JOB_METRICS
    if metric.name.startswith(("ml.retraining.", "ml.tracking."))
    or metric in {names.DRIFT_ROWS_NEEDED, names.CALIBRATION_TIME, names.DRIFT_VERSION_STATE}
    or metric is names.DRIFT_SEGMENT_DECISION
)
COMPARED: Final = frozenset(metric.prometheus for metric in names.DRIFT_JOB_METRICS) - _BESIDE
"""Metrics whose every series is held against the records."""


def key_of(metric: Metric, attributes: Mapping[str, Any]) -> Key:
    """The key of a point."""
    labels = ((names.label(name), str(value)) for name, value in attributes.items())
    return metric.prometheus, tuple(sorted(labels))


def text_of(key: Key) -> str:
    """A key as people read it."""
    name, labels = key
    inside = ", ".join(f'{label}="{value}"' for label, value in labels if label != "model_version")
    return f"{name}{{{inside}}}" if inside else name


def finding(record: Record, alert_share: float | None) -> dict[Key, float]:
    """Gauges that stand from a successful run to the next one.

    Args:
        record: the line.
        alert_share: share of drifted columns for ALERT; None where that is not known.
    """
    version = {names.MODEL_VERSION: record["model_version"]}
    found: dict[Key, float] = {}
    for metric, value, attributes in _points(record, alert_share):
        if value is not None:
            found[key_of(metric, {**version, **attributes})] = float(value)
    return found


def job_gauges(before: Mapping[Key, float], record: Record) -> dict[Key, float]:
    """Gauges of the job itself after a run, from those before it."""
    found = dict(before)
    outcome = record["outcome"]
    found[key_of(names.DRIFT_RUN_DURATION, {})] = float(record["seconds"])
    found[key_of(names.DRIFT_LAST_RUN, {names.OUTCOME: outcome})] = float(record["time"])
    if outcome != "error":
        found[key_of(names.DRIFT_LAST_COMPLETED, {})] = float(record["time"])
    return found


def counted(records: Iterable[Record]) -> dict[Key, float]:
    """Counters of a process that made these runs."""
    found = {key_of(names.DRIFT_RUNS, {names.OUTCOME: outcome}): 0.0 for outcome in OUTCOMES}
    for record in records:
        found[key_of(names.DRIFT_RUNS, {names.OUTCOME: record["outcome"]})] += 1
        if record["outcome"] != SUCCESS or not record.get("fresh", True):
            continue
        for column, verdict in record["columns"].items():
            attributes = {names.MODEL_VERSION: record["model_version"], names.COLUMN: column}
            key = key_of(names.DRIFT_DETECTIONS, attributes)
            found[key] = found.get(key, 0.0) + bool(verdict["drifted"])
    return found


_Point: TypeAlias = "tuple[Metric, float | None, dict[str, str]]"


def _points(record: Record, alert_share: float | None) -> Iterator[_Point]:
    yield names.DRIFT_RATIO, record["drift_share"], {}
    if alert_share is not None:
        yield names.DRIFT_RATIO_THRESHOLD, alert_share, {}
    for metric, attribute, true in (
        (names.DRIFT_DECISION, names.DECISION, [record["decision"]]),
        (names.DRIFT_CAUSE, names.CAUSE, record.get("causes", ())),
    ):
        for value in dict(metric.values)[attribute]:
            yield metric, float(value in true), {attribute: value}
    for which, window in record["windows"].items():
        yield names.DRIFT_WINDOW_ROWS, window["rows"], {names.WINDOW: which}
        yield names.DRIFT_WINDOW_NEWEST, window.get("newest"), {names.WINDOW: which}
    for column, verdict in record["columns"].items():
        own = {names.COLUMN: column}
        yield names.DRIFT_COLUMN_DETECTED, float(verdict["drifted"]), own
        for score in verdict["scores"]:
            method = {**own, names.METHOD: score["method"]}
            yield names.DRIFT_COLUMN_SCORE, score["score"], method
            yield names.DRIFT_COLUMN_THRESHOLD, score["threshold"], method
    for name, score_metric, threshold_metric, detected in _CLASSES:
        if verdict := record.get(name):
            yield detected, float(verdict["drifted"]), {}
            for score in verdict["scores"]:
                method = {names.METHOD: score["method"]}
                yield score_metric, score["score"], method
                yield threshold_metric, score["threshold"], method
    yield from _performance(record.get("performance") or {})
    yield from _concept(record.get("concept_drift") or {})
    yield from _quality(record.get("quality") or {})
    yield from _relations(record)
    yield from _segments(record.get("segments") or {})


def _scores(metric: Metric, found: Record, attributes: dict[str, str]) -> Iterator[_Point]:
    for score in names.PERFORMANCE_SCORES:
        yield metric, found.get(score), {**attributes, names.SCORE: score}


def _performance(found: Record) -> Iterator[_Point]:
    if not found:
        return
    for basis in ("reference", "realised", "estimated"):
        yield from _scores(names.PERFORMANCE_SCORE, found[basis], {names.BASIS: basis})
    yield names.PERFORMANCE_ESTIMATE_ERROR, found["estimated"]["standard_error"], {}
    for segment, part in found["segments"].items():
        own = {names.SEGMENT: segment}
        yield from _scores(names.PERFORMANCE_SEGMENT_SCORE, part, own)
        yield from _scores(names.PERFORMANCE_SEGMENT_ESTIMATE, part["estimated"], own)
        error = part["estimated"]["standard_error"]
        yield names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR, error, own
    realised = found["realised"]
    classes = realised["classes"] if realised["labels"] else []
    for true, row in zip(classes, realised["confusion"], strict=False):
        for predicted, rows in zip(classes, row, strict=True):
            attributes = {names.TRUE_CLASS: true, names.PREDICTION_CLASS: predicted}
            yield names.PERFORMANCE_CONFUSION, rows, attributes
    for state in dict(names.PERFORMANCE_STATE.values)[names.STATE]:
        yield names.PERFORMANCE_STATE, float(realised["state"] == state), {names.STATE: state}
    yield names.LABEL_COVERAGE, found["labels"]["coverage"], {}
    for quantile, seconds in found["labels"]["delay_seconds"].items():
        yield names.LABEL_DELAY, seconds, {names.QUANTILE: quantile}


def _concept(found: Record) -> Iterator[_Point]:
    errors = found.get("errors") or {}
    if errors:
        yield names.CONCEPT_DETECTED, float(found["drifted"]), {}
    for rise in errors.values():
        for method, score in rise["scores"].items():
            yield names.CONCEPT_SCORE, score["score"], {names.METHOD: method}
            yield names.CONCEPT_THRESHOLD, score["threshold"], {names.METHOD: method}


def _quality(found: Record) -> Iterator[_Point]:
    for column, ratios in (found.get("columns") or {}).items():
        for check in names.QUALITY_CHECKS:
            attributes = {names.COLUMN: column, names.CHECK: check}
            yield names.QUALITY_COLUMN, float(ratios[check]), attributes
    both = {"reference": "reference_duplicated", "current": "duplicated"}
    for window, name in both.items() if found else ():
        yield names.QUALITY_DUPLICATED, found.get(name), {names.WINDOW: window}


def _relations(record: Record) -> Iterator[_Point]:
    for check in dict(names.RELATIONS_DETECTED.values)[names.CHECK]:
        one = (record.get("relations") or {}).get(check) or {}
        if not one.get("scores"):
            continue
        yield names.RELATIONS_DETECTED, float(one["drifted"]), {names.CHECK: check}
        for method, score in one["scores"].items():
            yield names.RELATIONS_SCORE, score["score"], {names.METHOD: method}
            yield names.RELATIONS_THRESHOLD, score["threshold"], {names.METHOD: method}
    asked = (record.get("contributions") or {}).get("columns") or {}
    for column, one in asked.items():
        for window in ("reference", "current"):
            attributes = {names.COLUMN: column, names.WINDOW: window}
            yield names.FEATURE_CONTRIBUTION, one[window], attributes
        yield names.FEATURE_DRIFT_EFFECT, one["effect"], {names.COLUMN: column}


def _segments(found: Record) -> Iterator[_Point]:
    for segment, one in found.items():
        own = {names.SEGMENT: segment}
        for window, rows in one["rows"].items():
            yield names.DRIFT_SEGMENT_ROWS, rows, {**own, names.WINDOW: window}
        yield names.DRIFT_SEGMENT_RATIO, one.get("drift_share"), own
        for column, verdict in (one.get("columns") or {}).items():
            for method, score in verdict["scores"].items():
                attributes = {**own, names.COLUMN: column, names.METHOD: method}
                yield names.DRIFT_SEGMENT_SCORE, score, attributes
    for state in dict(names.DRIFT_SEGMENTS.values)[names.STATE] if found else ():
        number = sum(one["state"] == state for one in found.values())
        yield names.DRIFT_SEGMENTS, number, {names.STATE: state}
