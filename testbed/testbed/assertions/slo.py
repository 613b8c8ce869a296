"""A service level objective on what the load saw, and how much of its error budget is used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.assertions.duerequests import due_requests, took
from testbed.fields import Duration

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.truth import Request

StatusClass = Annotated[str, Field(pattern=r"^[1-5](xx|[0-9]{2})$")]


@ASSERTIONS.register
class SloAssertion(AssertionModel):
    """A ratio of good requests, of all that were due in a phase or in the whole load.

    What was never sent, because the load could send no more, is not good.
    """

    timed: ClassVar[bool] = True
    kind: Literal["slo"] = "slo"
    objective: float = Field(gt=0, lt=1, description="Ratio of good requests, for example 0.999.")
    good_statuses: tuple[StatusClass, ...] = Field(
        ("2xx",), min_length=1, description="HTTP statuses of good requests: `2xx`, `404`."
    )
    latency: float | None = Field(
        None,
        gt=0,
        description="Real seconds from when a good request was due to its answer, at most.",
    )
    budget: float = Field(
        1.0, gt=0, description="Ratio of the error budget (1 - objective) that may be consumed."
    )
    phase: str | None = Field(None, description="Phase in which it counts; null: the whole load.")
    after: Duration = Field(0.0, description="Time from its start that is left out.")

    @property
    def words(self) -> str:
        """What must hold, for people."""
        fast = f" within {self.latency:g} s" if self.latency is not None else ""
        spent = "" if self.budget == 1 else f", with at most {self.budget:.0%} of the budget"
        good = ", ".join(self.good_statuses)
        return (
            f"{self.objective * 100:g}% of requests answered {good}{fast}{spent}{where(self.phase)}"
        )

    def evaluate(self, case: Case) -> Finding:
        """By the truth of the load."""
        found = due_requests(case, self.phase, self.after)
        if not found.count:
            return Finding(passed=False, summary=f"{self.words}: no request was due")
        bad = Counter(reason for each in found.sent if (reason := self._bad(each)))
        if found.unsent:
            bad["never sent"] = found.unsent
        count = bad.total()
        consumed = count / (found.count * (1 - self.objective))
        seen = (
            f"{1 - count / found.count:.4%} of {found.count:,} are good, "
            f"{consumed:.0%} of the error budget is consumed"
        )
        details = tuple(f"{number:,} {reason}" for reason, number in bad.most_common())
        # Rounded: 1 - 0.999 is a little more than 0.001.
        within = round(consumed, 9) <= self.budget
        return Finding(passed=within, summary=f"{self.words}: {seen}", details=details)

    def _bad(self, request: Request) -> str | None:
        """Why a request is not good; None where it is."""
        if request.status is None:
            return f"without an answer ({request.error})"
        status = str(request.status)
        if status not in self.good_statuses and f"{status[0]}xx" not in self.good_statuses:
            return f"answered {status}"
        if self.latency is not None and took(request) > self.latency:
            return f"slower than {self.latency:g} s"
        return None
