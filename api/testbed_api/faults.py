"""Faults for a test of the monitoring: errors, inference latency, a model that is unloaded.

They are set on the management port, which offers that only where a setting turns it on.
"""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from testbed_api.bodies import described, read_json

UNLOADED: Final = "the model is unloaded by a fault"


class Faults(Protocol):
    """What may go wrong on purpose with a prediction."""

    @property
    def problem(self) -> str | None:
        """Why no model can predict now, or None."""

    def delay(self) -> float:
        """Seconds to add to the inference of this prediction."""

    def fails(self) -> bool:
        """Whether this prediction is to fail."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ErrorFault(_Model):
    """Share of predictions that are answered with 500."""

    share: float = Field(ge=0, le=1)


class LatencyFault(_Model):
    """Seconds added to the inference of a share of the predictions."""

    seconds: float = Field(ge=0, le=60)
    share: float = Field(default=1.0, ge=0, le=1)


class UnloadFault(_Model):
    """No model is loaded: predictions are answered with 503."""


class FaultState(_Model):
    """All faults that are set; what is absent is off."""

    errors: ErrorFault | None = None
    latency: LatencyFault | None = None
    unloaded: UnloadFault | None = None


class _Sampling:
    """Systematic sampling from a random start (Madow and Madow, 1944).

    Evenly spread, so that also a small share gives a steady rate, which is what an alert on a rate
    is tested with.
    """

    def __init__(self, start: float) -> None:
        self._due = start

    def chooses(self, share: float) -> bool:
        """Whether the next one is among this share."""
        self._due += share
        if self._due < 1:
            return False
        self._due -= 1
        return True


class FaultControl:
    """The faults that are set now.

    Args:
        seed: seeds which predictions are hit, so that a run can be repeated.
    """

    def __init__(self, seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable on purpose, guards nothing
        self._failing, self._slow = _Sampling(rng.random()), _Sampling(rng.random())
        self.state = FaultState()

    @property
    def problem(self) -> str | None:
        """Why no model can predict now, or None."""
        return None if self.state.unloaded is None else UNLOADED

    def delay(self) -> float:
        """Seconds to add to the inference of this prediction."""
        latency = self.state.latency
        if latency is None or not self._slow.chooses(latency.share):
            return 0.0
        return latency.seconds

    def fails(self) -> bool:
        """Whether this prediction is to fail."""
        errors = self.state.errors
        return errors is not None and self._failing.chooses(errors.share)


def fault_router(control: FaultControl) -> APIRouter:
    """``GET``, ``PUT`` and ``DELETE /faults``."""
    router = APIRouter(prefix="/faults", tags=["faults"])
    adapter = TypeAdapter(FaultState)

    @router.get("")
    async def show() -> FaultState:
        return control.state

    @router.put("", openapi_extra=described(adapter))
    async def replace(request: Request) -> FaultState:
        control.state = await read_json(request, adapter)
        return control.state

    @router.delete("")
    async def clear() -> FaultState:
        control.state = FaultState()
        return control.state

    return router
