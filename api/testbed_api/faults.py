"""Faults for a test of the monitoring: injected errors and injected inference latency.

They are set on the management port, which offers that only where a setting turns it on.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from testbed_api.bodies import read_json


class Faults(Protocol):
    """What may go wrong on purpose with a prediction."""

    @property
    def latency(self) -> float:
        """Seconds to add to the inference."""

    def fails(self) -> bool:
        """Whether this prediction is to fail."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ErrorFault(_Model):
    """Share of predictions that are answered with 500."""

    share: float = Field(ge=0, le=1)


class LatencyFault(_Model):
    """Seconds added to every inference."""

    seconds: float = Field(ge=0, le=60)


class FaultState(_Model):
    """All faults that are set; what is absent is off."""

    errors: ErrorFault | None = None
    latency: LatencyFault | None = None


class FaultControl:
    """The faults that are set now.

    Failing predictions are chosen by systematic sampling from a random start (Madow and Madow,
    1944): evenly spread, so that also a small share gives a steady rate, which is what an alert
    on a rate is tested with.

    Args:
        seed: seeds the start, so that a run can be repeated.
    """

    def __init__(self, seed: int) -> None:
        self._due = Random(seed).random()  # noqa: S311 - repeatable on purpose, guards nothing
        self.state = FaultState()

    @property
    def latency(self) -> float:
        """Seconds to add to the inference."""
        return self.state.latency.seconds if self.state.latency else 0.0

    def fails(self) -> bool:
        """Whether this prediction is to fail."""
        if self.state.errors is None:
            return False
        self._due += self.state.errors.share
        if self._due < 1:
            return False
        self._due -= 1
        return True


def fault_router(control: FaultControl) -> APIRouter:
    """``GET``, ``PUT`` and ``DELETE /faults``."""
    router = APIRouter(prefix="/faults", tags=["faults"])
    adapter = TypeAdapter(FaultState)

    @router.get("")
    async def show() -> FaultState:
        return control.state

    @router.put("", openapi_extra={"requestBody": {"content": {"application/json": {}}}})
    async def replace(request: Request) -> FaultState:
        control.state = await read_json(request, adapter)
        return control.state

    @router.delete("")
    async def clear() -> FaultState:
        control.state = FaultState()
        return control.state

    return router
