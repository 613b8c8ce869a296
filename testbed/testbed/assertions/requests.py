"""Percentiles of latency and the ratio of errors, as the load saw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.assertions.duerequests import due_requests, took
from testbed.fields import Duration, Ratio
from testbed.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@ASSERTIONS.register
class RequestsAssertion(AssertionModel):
    """Upper bounds of latency and errors in a phase, or in the whole load.

    Latency counts from when a request was due, in real seconds, to its answer or to the moment at
    which the load gave up.
    """

    timed: ClassVar[bool] = True
    kind: Literal["requests"] = "requests"
    p50: float | None = Field(None, gt=0, description="Median latency in seconds, at most.")
    p95: float | None = Field(None, gt=0, description="95th percentile in seconds, at most.")
    p99: float | None = Field(None, gt=0, description="99th percentile in seconds, at most.")
    error_ratio: Ratio | None = Field(
        None, description="Ratio of requests answered 5xx, not at all, or never sent, at most."
    )
    phase: str | None = Field(None, description="Phase in which it counts; null: the whole load.")
    after: Duration = Field(0.0, description="Time from its start that is left out.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not self._limits and self.error_ratio is None:
            raise ValueError("give at least one of p50, p95, p99 and error_ratio")
        return self

    @property
    def _limits(self) -> dict[str, float]:
        given = {name: getattr(self, name) for name in PERCENTILES}
        return {name: limit for name, limit in given.items() if limit is not None}

    @property
    def words(self) -> str:
        """What must hold, for people."""
        said = [f"{name} at most {limit:g} s" for name, limit in self._limits.items()]
        if self.error_ratio is not None:
            said.append(f"errors at most {self.error_ratio * 100:g}%")
        return f"{', '.join(said)}{where(self.phase)}"

    def evaluate(self, case: Case) -> Finding:
        """By the truth of the load."""
        found = due_requests(case, self.phase, self.after)
        if not found.sent:
            return Finding(passed=False, summary=f"{self.words}: no request was sent")
        times = [took(request) for request in found.sent]
        values = {name: percentile(times, PERCENTILES[name]) or 0.0 for name in self._limits}
        errors = (sum(each.failed for each in found.sent) + found.unsent) / found.count
        seen = [f"{name} is {value:.4g} s" for name, value in values.items()]
        if self.error_ratio is not None:
            seen.append(f"{errors:.3%} are errors")
        return Finding.of(self.words, self._problems(values, errors), ", ".join(seen))

    def _problems(self, values: dict[str, float], errors: float) -> Iterator[str]:
        for name, value in values.items():
            if value > self._limits[name]:
                yield f"{name} is {value:.4g} s"
        if self.error_ratio is not None and errors > self.error_ratio:
            yield f"{errors:.3%} are errors"
