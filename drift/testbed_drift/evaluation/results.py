"""What one run of the job came to, and its JSON forms. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from testbed_drift.evaluation.decision import Policy
from testbed_drift.evaluation.points import points_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_drift.evaluation.assessment import Assessment
    from testbed_drift.evaluation.decision import Decision
    from testbed_drift.evaluation.points import Point
    from testbed_drift.evaluation.segmentdrift import SegmentDrift
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.relations.study import Relations
    from testbed_drift.rows.extents import WindowSummary
    from testbed_drift.scoring.scores import DriftScores

SCHEMA_VERSION: Final = 2
Outcome = Literal["success", "insufficient_data", "error"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "insufficient_data", "error")


@dataclass(frozen=True, slots=True)
class RunFinding:
    """The part of a run that only a successful one has.

    Attributes:
        reference: window compared with.
        current: window evaluated.
        scores: what was found.
        decision: what was decided.
        json: JSON report, or None where none is kept.
        html: HTML report, or None where this run rendered none.
        assessment: how the model and the data do beside drift; None where nobody assesses.
        fresh: whether the window has rows that no run evaluated before; else labels came late.
        snapshot: Evidently's own result, where this run rendered it.
        segments: drift within segments; empty where none are distinguished.
        relations: what no single column shows; None where nobody studies it.
        policy: shares of drifted columns that the decision stands on.
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
    policy: Policy = field(default_factory=Policy)


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
        unstored: one line: why its results could not be stored; empty where they were.
        waited: seconds since the run before ended in which the job was ready to work and no
            processor was free; None where the system does not say.
    """

    model_version: str
    outcome: Outcome
    started: float
    seconds: float
    message: str
    finding: RunFinding | None = None
    retraining: Retraining | None = None
    behind: bool = False
    rows_needed: int | None = None
    unstored: str = ""
    waited: float | None = None

    @property
    def ended(self) -> float:
        """Unix time at which it ended."""
        return self.started + self.seconds

    def points(self) -> Iterator[Point]:
        """Its numbers, for all that show some: metrics, workspace, tracking server."""
        return points_of(self)

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
        if self.waited is not None:
            record["waited"] = self.waited
        if self.retraining:
            record["retraining"] = self.retraining.to_dict()
        found = self.finding
        if found is None:
            return record | ({"rows_needed": self.rows_needed} if self.rows_needed else {})
        return record | {
            **evaluation(found.scores, found.decision),
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


def evaluation(scores: DriftScores, decision: Decision) -> dict[str, Any]:
    """Scores and decision, JSON-ready: alike in ``runs.jsonl`` and in the JSON report."""
    return {
        "decision": str(decision.action),
        "bound": decision.bound,
        "reasons": list(decision.reasons),
        "causes": [str(cause) for cause in decision.causes],
        "drift_share": scores.ratio,
        "columns": {column.column: column.to_dict() for column in scores.columns},
        "prediction_drift": scores.prediction.to_dict(),
        "target_drift": scores.target.to_dict() if scores.target else None,
    }
