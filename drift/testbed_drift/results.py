"""What one run of the job came to, and its JSON forms. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_drift.assessment import Assessment
    from testbed_drift.decision import Decision
    from testbed_drift.relations import Relations
    from testbed_drift.scores import ColumnDrift, DriftScores
    from testbed_drift.segmentdrift import SegmentDrift
    from testbed_drift.trial import Retraining

SCHEMA_VERSION: Final = 2
Outcome = Literal["success", "insufficient_data", "error"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "insufficient_data", "error")


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """A window without its rows.

    Attributes:
        name: the window's part of the reports' file names.
        rows: number of rows.
        labels: number of them with a label.
        start: Unix time at which it begins, or None for the training reference.
        end: Unix time at which it ends, exclusive, or None.
    """

    name: str
    rows: int
    labels: int
    start: float | None = None
    end: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "rows": self.rows,
            "labels": self.labels,
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """A table for the HTML report.

    Attributes:
        title: what it shows.
        header: names of the columns.
        rows: texts, one per column.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """The part of a run that only a successful one has.

    Attributes:
        reference: window compared with.
        current: window judged.
        scores: what was found.
        decision: what was decided.
        json: JSON report, or None where none is kept.
        html: HTML report, or None where this run rendered none.
        assessment: how the model and the data do beside drift; None where nobody assesses.
        fresh: whether the window has rows that no run judged before; else labels came late.
        snapshot: Evidently's own result, where this run rendered it.
        segments: drift within segments; empty where none are told apart.
        relations: what no single column shows; None where nobody studies it.
    """

    reference: WindowSummary
    current: WindowSummary
    scores: DriftScores
    decision: Decision
    json: Path | None
    html: Path | None
    assessment: Assessment | None = None
    fresh: bool = True
    snapshot: Any = None
    segments: tuple[SegmentDrift, ...] = ()
    relations: Relations | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run of the job.

    Attributes:
        model_version: model that the rows belong to.
        outcome: ``success``, ``insufficient_data`` or ``error``.
        started: Unix time at which it began.
        seconds: how long it took.
        message: one line: the decision line, or why there is no decision.
        finding: what was found, after a success.
        retraining: what RETRAIN started, where it started something.
        behind: whether the next window is full already.
        rows_needed: rows that a window needs, where it has too few.
    """

    model_version: str
    outcome: Outcome
    started: float
    seconds: float
    message: str
    finding: Finding | None = None
    retraining: Retraining | None = None
    behind: bool = False
    rows_needed: int | None = None

    @property
    def ended(self) -> float:
        """Unix time at which it ended."""
        return self.started + self.seconds

    def record(self) -> dict[str, Any]:
        """The run as one line of ``runs.jsonl`` and as output of ``run --json``."""
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "time": self.ended,
            "started": self.started,
            "seconds": self.seconds,
            "outcome": self.outcome,
            "model_version": self.model_version,
            "message": self.message,
        }
        if self.retraining:
            record["retraining"] = self.retraining.to_dict()
        found = self.finding
        if found is None:
            return record | ({"rows_needed": self.rows_needed} if self.rows_needed else {})
        return record | {
            **judgement(found.scores, found.decision),
            **(found.assessment.to_dict() if found.assessment else {}),
            "segments": {one.name: one.to_dict() for one in found.segments},
            **(found.relations.to_dict() if found.relations else {}),
            "rows": {"reference": found.reference.rows, "current": found.current.rows},
            "windows": {
                "reference": found.reference.to_dict(),
                "current": found.current.to_dict(),
            },
            "fresh": found.fresh,
            "json": found.json.name if found.json else None,
            "html": found.html.name if found.html else None,
        }


def judgement(scores: DriftScores, decision: Decision) -> dict[str, Any]:
    """Scores and decision, JSON-ready: alike in ``runs.jsonl`` and in the JSON report."""
    return {
        "decision": str(decision.action),
        "bound": decision.bound,
        "reasons": list(decision.reasons),
        "causes": [str(cause) for cause in decision.causes],
        "drift_share": scores.share,
        "columns": {column.column: column_dict(column) for column in scores.columns},
        "prediction_drift": column_dict(scores.prediction),
        "target_drift": column_dict(scores.target) if scores.target else None,
    }


def column_dict(column: ColumnDrift) -> dict[str, Any]:
    """One verdict: the leading score at the top, all scores below it."""
    leading = column.leading
    return {
        "score": finite(leading.value) if leading else None,
        "threshold": leading.threshold if leading else None,
        "method": leading.method if leading else None,
        "drifted": column.drifted,
        "scores": [
            {
                "method": score.method,
                "kind": score.kind,
                "score": finite(score.value),
                "threshold": score.threshold,
                "exceeded": score.exceeded,
            }
            for score in column.scores
        ],
    }


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities, which JSON lacks."""
    return value if math.isfinite(value) else None


def iso_time(time: float) -> str:
    """Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
