"""Alerts are notified in an order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case


@ASSERTIONS.register
class OrderAssertion(AssertionModel):
    """Each alert is first notified before the next one of the list is."""

    stage: ClassVar[Stage] = Stage.RECEIVER
    kind: Literal["order"] = "order"
    notified: tuple[str, ...] = Field(min_length=2, description="Names of alerts, first to last.")

    @field_validator("notified")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("an alert comes before itself nowhere: name each once")
        return names

    @property
    def words(self) -> str:
        """What must hold, for people."""
        return f"{' is notified before '.join(self.notified)}"

    @property
    def alerts(self) -> tuple[str, ...]:
        """All of the order."""
        return self.notified

    @property
    def components(self) -> tuple[str, ...]:
        """What brings a notification."""
        return ("alertmanager", "receiver")

    def evaluate(self, case: Case) -> Finding:
        """By the first firing notification of each."""
        first: dict[str, float] = {}
        for each in case.evidence.notifications:
            if each.status == "firing":
                first.setdefault(each.alert, each.received_at)
        start = case.evidence.snapshot.started_at
        seen = ", ".join(
            f"{name} after {first[name] - start:.1f} s" for name in self.notified if name in first
        )
        return Finding.of(self.words, self._problems(first), seen)

    def _problems(self, first: dict[str, float]) -> Iterator[str]:
        missing = [name for name in self.notified if name not in first]
        if missing:
            yield f"{', '.join(missing)} {'was' if len(missing) == 1 else 'were'} never notified"
        for one, other in pairwise([name for name in self.notified if name in first]):
            if first[one] >= first[other]:
                late = first[one] - first[other]
                yield f"{one} was notified {late:.1f} s after {other}"
