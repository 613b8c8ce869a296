"""Faults for a test of the monitoring: errors, latency, an unloaded model, a log that fails.

They are set on the management port, which offers that only where a setting turns it on.
"""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field
from testbed_domain.logengine import LogError

UNLOADED: Final = "the model is unloaded by a fault"
REFUSED: Final = "it refuses every write by a fault"


class InjectedFaults(Protocol):
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


class InjectedErrors(_Model):
    """Share of predictions that are answered with 500."""

    ratio: float = Field(ge=0, le=1)


class InjectedLatency(_Model):
    """Seconds added to the inference of a share of the predictions."""

    seconds: float = Field(ge=0, le=60)
    ratio: float = Field(default=1.0, ge=0, le=1)


class InjectedUnload(_Model):
    """No model is loaded: predictions are answered with 503."""


class InjectedLogFailure(_Model):
    """The prediction log refuses every write, as a database whose disk is full does."""


class FaultState(_Model):
    """All faults that are set; what is absent is off."""

    errors: InjectedErrors | None = None
    latency: InjectedLatency | None = None
    unloaded: InjectedUnload | None = None
    log: InjectedLogFailure | None = None


class _Sampling:
    """Systematic sampling from a random start (Madow and Madow, 1944).

    Evenly spread, so that also a small share gives a steady rate, which is what an alert on a rate
    is tested with.
    """

    def __init__(self, start: float) -> None:
        self._due = start

    def chooses(self, ratio: float) -> bool:
        """Whether the next one is among this share."""
        self._due += ratio
        if self._due < 1:
            return False
        self._due -= 1
        return True


class FaultSwitch:
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
        if latency is None or not self._slow.chooses(latency.ratio):
            return 0.0
        return latency.seconds

    def fails(self) -> bool:
        """Whether this prediction is to fail."""
        errors = self.state.errors
        return errors is not None and self._failing.chooses(errors.ratio)

    def require_log(self) -> None:
        """Nothing, unless the prediction log is to fail now; called by the thread of the log.

        Raises:
            LogError: it is.
        """
        if self.state.log is not None:
            raise LogError(REFUSED)
