"""When the rows of a drifted phase drift: at once, more and more, now and then, with the season.

A form says nothing of what drifts. It gives the share of the requests that drift at each place of
the phase; whether one does is drawn from the seed and its number, and each that does drifts by the
whole severity. Names after Gama et al., A Survey on Concept Drift Adaptation, 2014, section 2.2.
Pure.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_load.arrivals import DueTimes

Place = Annotated[float, Field(ge=0, le=1)]
Repeats = Annotated[float, Field(gt=0, le=1000)]


class DriftForm(BaseModel):
    """Base of the kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: str

    @property
    @abstractmethod
    def description(self) -> str:
        """A few words for the documentation: what it does with these values."""

    @abstractmethod
    def ratio(self, place: float) -> float:
        """Share of the requests that drift at a place of the phase, both from 0 to 1."""


class SuddenForm(DriftForm):
    """No request before a moment, every one from then on."""

    kind: Literal["sudden"] = "sudden"
    at: Place = Field(0.0, description="Begin of the drift, as a ratio of the phase.")

    @property
    def description(self) -> str:
        """See the base class."""
        return f"suddenly after {self.at:.0%} of the phase"

    def ratio(self, place: float) -> float:
        """See the base class."""
        return float(place >= self.at)


class GradualForm(DriftForm):
    """More and more requests: the share grows evenly from none to all."""

    kind: Literal["gradual"] = "gradual"
    start: Place = Field(0.0, description="Where it begins to grow, as a ratio of the phase.")
    end: Place = Field(1.0, description="Where every request drifts, as a ratio of the phase.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must come before end")
        return self

    @property
    def description(self) -> str:
        """See the base class."""
        return f"gradually from {self.start:.0%} to {self.end:.0%} of the phase"

    def ratio(self, place: float) -> float:
        """See the base class."""
        return min(1.0, max(0.0, (place - self.start) / (self.end - self.start)))


class RecurringForm(DriftForm):
    """All requests for a while, none for a while, again and again."""

    kind: Literal["recurring"] = "recurring"
    cycles: Repeats = Field(2.0, description="How often it comes during the phase.")
    width: float = Field(
        0.5, gt=0, lt=1, description="Share of each cycle in which rows drift: its last part."
    )

    @property
    def description(self) -> str:
        """See the base class."""
        return f"{self.cycles:g} times, for the last {self.width:.0%} of each cycle"

    def ratio(self, place: float) -> float:
        """See the base class."""
        return float((place * self.cycles) % 1.0 >= 1.0 - self.width)


class SeasonalForm(DriftForm):
    """A share that swings between none and all, as a sine."""

    kind: Literal["seasonal"] = "seasonal"
    cycles: Repeats = Field(1.0, description="Seasons during the phase.")

    @property
    def description(self) -> str:
        """See the base class."""
        return f"in {self.cycles:g} seasons, from no row to all and back"

    def ratio(self, place: float) -> float:
        """See the base class."""
        return (1.0 - math.cos(math.tau * self.cycles * place)) / 2.0


FORMS: Final = (SuddenForm, GradualForm, RecurringForm, SeasonalForm)

if TYPE_CHECKING:
    Form: TypeAlias = DriftForm
else:
    Form = Annotated[
        SuddenForm | GradualForm | RecurringForm | SeasonalForm, Field(discriminator="kind")
    ]
    """Any of the kinds, as a scenario file holds it."""


def drifting(
    form: DriftForm | None, times: DueTimes | None, duration: float, seed: str
) -> Callable[[int], bool]:
    """Which requests of a phase drift, by their number within it.

    Args:
        form: None: every one.
        times: when they are due; not None where there is a form.
        duration: seconds of the phase.
        seed: of what is drawn.
    """
    if form is None or times is None:
        return lambda _index: True

    def drifts(index: int) -> bool:
        ratio = form.ratio(min(1.0, times.at(index) / duration))
        if ratio in (0.0, 1.0):
            return ratio == 1.0
        return random.Random(f"form {seed} {index}").random() < ratio  # noqa: S311 - seeded on purpose, no secret

    return drifts
