"""Drift of segments as points of the telemetry vocabulary. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed_drift.evaluation.segmentdrift import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_otel.names import Metric

    from testbed_drift.evaluation.segmentdrift import SegmentDrift

    Point = tuple[Metric, float, dict[str, str]]

METRICS: Final = (
    names.DRIFT_SEGMENT_SHARE,
    names.DRIFT_SEGMENT_SCORE,
    names.DRIFT_SEGMENT_ROWS,
    names.DRIFT_SEGMENTS,
)


def points(segments: Sequence[SegmentDrift]) -> Iterator[Point]:
    """Metric, value and attributes beside the model's version, in the order of the segments."""
    for found in segments:
        segment = {names.SEGMENT: found.name}
        rows = {"reference": found.reference_rows, "current": found.rows}
        for window, number in rows.items():
            yield names.DRIFT_SEGMENT_ROWS, number, {**segment, names.WINDOW: window}
        if found.scores is None:
            continue
        yield names.DRIFT_SEGMENT_SHARE, found.scores.share, segment
        for column in found.scores.columns:
            for score in column.scores:
                of = {names.COLUMN: column.column, names.METHOD: score.method}
                yield names.DRIFT_SEGMENT_SCORE, score.value, {**segment, **of}
    for state in STATES if segments else ():
        number = sum(found.state == state for found in segments)
        yield names.DRIFT_SEGMENTS, number, {names.STATE: state}
