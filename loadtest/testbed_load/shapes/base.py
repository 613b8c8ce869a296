"""What a shape of the load is: a rate of requests that changes during a phase. Pure.

One class per kind, and :data:`SHAPES` finds the classes by this folder, or by the entry points
``testbed.shapes`` of installed packages. (Locust's own ``LoadTestShape`` says how many users there
are; here users only send what is due.)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from testbed_domain.registry import Registry, kind_of

MAX_RATE: Final = 5000.0

Rate = Annotated[float, Field(ge=0, le=MAX_RATE, description="Requests per real second.")]
Cycles = Annotated[float, Field(gt=0, le=1000)]


class Knot(NamedTuple):
    """A point of a rate that is a straight line between its points.

    Attributes:
        at: place in the phase, from 0 to 1.
        rate: requests per second.
    """

    at: float
    rate: float


class ShapeModel(BaseModel):
    """Base of the kinds; a kind adds the field ``kind``, a ``Literal`` of its name, as default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: str

    @model_validator(mode="after")
    def _curve(self) -> Self:
        found = self.knots()
        places = [knot.at for knot in found]
        if places != sorted(places) or not places or (places[0], places[-1]) != (0.0, 1.0):
            raise ValueError(f"the shape {self.kind} gives no rate from begin to end")
        if not any(knot.rate > 0 for knot in found):
            raise ValueError("the rate is 0 all the time: nothing would be sent")
        return self

    @property
    @abstractmethod
    def description(self) -> str:
        """A few words for the documentation: what it does with these values."""

    @abstractmethod
    def knots(self) -> tuple[Knot, ...]:
        """The rate, from place 0 to place 1; two knots at one place are a jump."""


SHAPES: Final[Registry[type[ShapeModel]]] = Registry(
    "testbed.shapes", "testbed_load.shapes", kind_of
)
"""Every kind of shape by its ``kind``."""
