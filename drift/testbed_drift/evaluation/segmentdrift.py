"""Drift within each segment of a window, against the same segment of the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from testbed_drift.evaluation.detection import Detector
from testbed_drift.formatting import ReportTable, finite
from testbed_drift.rows.segments import MAX, Segmentation
from testbed_drift.workers import Broken, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from testbed_domain.features import Value

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.rows.windows import Window
    from testbed_drift.scoring.scores import DriftRule, DriftScores

SegmentState = Literal["scored", "insufficient_data", "error"]
STATES: Final[tuple[SegmentState, ...]] = ("scored", "insufficient_data", "error")


@dataclass(frozen=True, slots=True)
class SegmentDrift:
    """What was found of one segment.

    Attributes:
        name: as :class:`testbed_drift.rows.segments.Segmentation` has it.
        state: ``scored``; ``insufficient_data`` where either window has too few of its rows;
            ``error`` where scoring it failed.
        rows: its rows in the current window.
        reference_rows: those in the reference.
        scores: verdicts, where it was scored.
        message: why it was not.
    """

    name: str
    state: SegmentState
    rows: int
    reference_rows: int
    scores: DriftScores | None = None
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        found: dict[str, Any] = {
            "state": self.state,
            "rows": {"reference": self.reference_rows, "current": self.rows},
            "message": self.message or None,
        }
        if self.scores is None:
            return found
        columns = {
            column.column: {
                "drifted": column.drifted,
                "scores": {score.method: finite(score.value) for score in column.scores},
            }
            for column in self.scores.columns
        }
        return found | {
            "drift_share": self.scores.ratio,
            "drifted": list(self.scores.drifted_columns),
            "prediction_drifted": self.scores.prediction.drifted,
            "columns": columns,
        }


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """One segment's rows, as a worker process gets them."""

    kinds: Mapping[str, ColumnKind]
    rule: DriftRule
    reference: pd.DataFrame
    current: pd.DataFrame


class SegmentWorkers(Protocol):
    """Score segments elsewhere: in processes of this machine, or of several."""

    def run(
        self, work: Callable[[SegmentTask], DriftScores], tasks: Mapping[str, SegmentTask]
    ) -> Mapping[str, DriftScores | Broken]:
        """What each task gave, by its key; one that fails leaves the others alone."""


@dataclass(frozen=True, slots=True)
class SegmentScorer:
    """Scores the segments of two windows.

    Attributes:
        column: the column by whose values rows are distinguished.
        kinds: feature columns and kinds.
        rule: thresholds of the whole window. Its significance is shared out among the segments
            that are scored, so that all of them together keep its budget of false positives.
        min_rows: rows that either window needs of a segment.
        maximum: most values of a category that are segments of their own.
        workers: score them; None does it in this process.
    """

    column: str
    kinds: Mapping[str, ColumnKind]
    rule: DriftRule
    min_rows: int
    maximum: int = MAX
    workers: SegmentWorkers | None = None

    def score(self, reference: Window, current: Window) -> tuple[SegmentDrift, ...]:
        """What drifted where: the segments with most drifted columns first, then the largest."""
        before, now = (_values(window, self.column) for window in (reference, current))
        learnt = Segmentation.learn(self.column, self.kinds[self.column], before, self.maximum)
        places = {name: np.flatnonzero(rows) for name, rows in learnt.groups(before).items()}
        nobody = np.array([], dtype=int)
        groups = {
            name: (places.get(name, nobody), np.flatnonzero(rows))
            for name, rows in learnt.groups(now).items()
        }
        evaluated = [name for name, pair in groups.items() if min(map(len, pair)) >= self.min_rows]
        rule = shared_out(self.rule, len(evaluated))
        tasks = {
            name: SegmentTask(
                self.kinds,
                rule,
                *(
                    window.frame.take(rows).reset_index(drop=True)
                    for window, rows in zip((reference, current), groups[name], strict=True)
                ),
            )
            for name in evaluated
        }
        found = self.workers.run(score_segment, tasks) if self.workers else _in_turn(tasks)
        segments = (
            _evaluated(name, pair, self.min_rows, found.get(name)) for name, pair in groups.items()
        )
        return tuple(sorted(segments, key=rank))


def score_segment(task: SegmentTask) -> DriftScores:
    """Scores of one segment."""
    detector = Detector(task.kinds, task.rule)
    return detector.detect(task.reference, task.current).scores


def shared_out(rule: DriftRule, parts: int) -> DriftRule:
    """The rule with its significance in equal parts (Bonferroni)."""
    parts = max(parts, 1)
    return replace(
        rule,
        alpha=rule.alpha / parts,
        class_alpha=rule.class_alpha / parts,
        target_alpha=rule.target_alpha / parts,
        max_alpha=None if rule.max_alpha is None else rule.max_alpha / parts,
        alphas={column: alpha / parts for column, alpha in rule.alphas.items()},
    )


def table(segments: Sequence[SegmentDrift]) -> ReportTable:
    """The segments that drifted, and how many there are beside them."""
    drifted = [found for found in segments if found.scores and found.scores.drifted_columns]
    counts = ", ".join(
        f"{sum(found.state == state for found in segments)} {state.replace('_', ' ')}"
        for state in STATES
    )
    rows = [
        (found.name, str(found.rows), str(found.reference_rows), ", ".join(names))
        for found in drifted
        if (names := found.scores.drifted_columns if found.scores else ())
    ]
    return ReportTable(
        f"{len(drifted)} of {len(segments)} segments drifted ({counts})",
        ("segment", "rows", "in the reference", "drifted columns"),
        tuple(rows),
    )


def _evaluated(
    name: str,
    rows: Sequence[np.ndarray[Any, Any]],
    minimum: int,
    found: DriftScores | Broken | None,
) -> SegmentDrift:
    before, now = map(len, rows)
    if found is None:
        message = f"{now} rows, {before} in the reference, {minimum} needed"
        return SegmentDrift(name, "insufficient_data", now, before, message=message)
    if isinstance(found, Broken):
        return SegmentDrift(name, "error", now, before, message=found.message)
    return SegmentDrift(name, "scored", now, before, found)


def _values(window: Window, column: str) -> Sequence[Value]:
    if window.columns is None:
        return ()
    return window.columns.features.get(column, ())


def _in_turn(tasks: Mapping[str, SegmentTask]) -> dict[str, DriftScores | Broken]:
    found: dict[str, DriftScores | Broken] = {}
    for name, task in tasks.items():
        try:
            found[name] = score_segment(task)
        except Exception as error:  # noqa: BLE001 - the other segments go on
            found[name] = Broken(failure(error))
    return found


def rank(found: SegmentDrift) -> tuple[float, int, str]:
    """Those that drifted most come first, so that a limit leaves out what says least."""
    return (-found.scores.ratio if found.scores else 0.0, -found.rows, found.name)
