"""Faults that the API's own fault control does: errors, latency, no model, no prediction log."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, FaultModel, Measuring, Seen, percent
from testbed.faults.effects import Effect, meanwhile, of_ratio
from testbed.fields import Ratio

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig
    from testbed.phases import PhaseRow

MIN_LATENCY: Final = 0.5
"""Ratio of the planned latency by which a request that was hit must be slower than the median."""

UNAVAILABLE: Final = 503


class ApiFault(FaultModel):
    """Base of the faults that the API's own fault control does.

    Attributes:
        key: of the fault in the body of ``PUT /faults``.
    """

    key: ClassVar[str]
    bundled: ClassVar[bool] = True
    by_http: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ()

    @property
    def controls(self) -> bool:
        """By that it is done."""
        return True

    def begin(self, rig: Rig) -> None:
        """Turn it on in each replica."""
        rig.api.set(self.key, self.model_dump(exclude={"kind"}))

    def end(self, rig: Rig) -> Seen | None:
        """Turn it off again."""
        rig.api.clear(self.key)
        return None


@FAULTS.register
class ErrorFault(ApiFault):
    """Share of predictions that the API answers with 500, evenly spread."""

    key: ClassVar[str] = "errors"
    kind: Literal["errors"] = "errors"
    ratio: Ratio = Field(description="Share of the predictions.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"errors {percent(self.ratio)}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{percent(self.ratio)} of the predictions fail"

    @property
    def error_ratio(self) -> float:
        """As it says."""
        return self.ratio

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the requests that failed."""
        rows = meanwhile(case, phase, self.label)
        hit = sum(row.failed for row in rows)
        return of_ratio(case, phase, self.label, rows, hit, self.ratio, "failed")


@FAULTS.register
class LatencyFault(ApiFault):
    """Latency added to inferences, in real seconds: latency limits don't scale."""

    key: ClassVar[str] = "latency"
    kind: Literal["latency"] = "latency"
    seconds: float = Field(gt=0, le=60, description="Real seconds that are added.")
    ratio: Ratio = Field(1.0, description="Share of the inferences that it hits, evenly spread.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        hit = "" if self.ratio == 1 else f" for {percent(self.ratio)}"
        return f"latency +{self.seconds:g} s{hit}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        hit = "inference" if self.ratio == 1 else f"{percent(self.ratio)} of the inferences"
        return f"{hit} {'takes' if self.ratio == 1 else 'take'} {self.seconds:g} s longer"

    @property
    def latency(self) -> tuple[float, float]:
        """As it says."""
        return self.seconds, self.ratio

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the requests that took longer than the median before."""
        slow = {p.name for p in case.scenario.phases if any(f.latency[0] for f in p.faults)}
        usual = [
            row.finished_at - row.sent_at
            for row in case.evidence.truth.requests
            if row.sent_at < phase.start and not row.failed and row.phase not in slow
        ]
        before = median(usual) if usual else 0.0
        rows = meanwhile(case, phase, self.label)
        limit = before + MIN_LATENCY * self.seconds
        # What would be too late is refused, where the API has a deadline.
        hit = sum(row.failed or row.finished_at - row.sent_at >= limit for row in rows)
        seen = f"took {limit:.3f} s or more or failed"
        seen += f", the median was {before:.3f} s before" if usual else ""
        return of_ratio(case, phase, self.label, rows, hit, self.ratio, seen)


@FAULTS.register
class UnloadFault(ApiFault):
    """The API's model is unloaded: predictions are answered with 503."""

    key: ClassVar[str] = "unloaded"
    kind: Literal["unloaded"] = "unloaded"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "model unloaded"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the model is unloaded"

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the requests that were refused."""
        return _refused(case, phase, self.label)


@FAULTS.register
class LogFault(ApiFault):
    """The API's prediction log refuses every write, as a database whose disk is full does."""

    key: ClassVar[str] = "log"
    kind: Literal["log"] = "log"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "prediction log refuses writes"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the prediction log refuses every write"

    def effect(self, case: Case, phase: PhaseRow) -> Effect | None:
        """By the requests that were refused; where rows are spooled, the load sees nothing."""
        if case.scenario.settings.api.log_failure == "spool":
            return None
        return _refused(case, phase, self.label)


def _refused(case: Case, phase: PhaseRow, label: str) -> Effect:
    rows = meanwhile(case, phase, label)
    hit = sum(row.status == UNAVAILABLE for row in rows)
    return of_ratio(case, phase, label, rows, hit, 1.0, f"were answered {UNAVAILABLE}")
