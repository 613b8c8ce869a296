"""Faults for a test of the monitoring, which the API does to itself.

They are set on the management port, which offers that only where a setting turns it on.
"""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field
from testbed_domain.logengine import LogError
from testbed_otel.wallclock import WallClock

from testbed_api.serving.leak import Leak

UNLOADED: Final = "the model is unloaded by a fault"
WAITING: Final = 0.5
"""Ratio of the time until an answer is due for which a request may wait for its turn."""

EARLY: Final = 0.005
"""Seconds by which a timer may go off too early: a loop may count time in whole milliseconds."""

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

    def turn(self, now: float, due: float) -> float:
        """Seconds until it is this request's turn to be predicted, or until it is too late.

        Args:
            now: ``time.monotonic``.
            due: when its answer is due, of that clock.
        """

    def misses(self) -> bool:
        """Whether the counter of predictions misses this one."""

    @property
    def unit(self) -> float:
        """By what durations of inferences are multiplied."""


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


class InjectedCapacity(_Model):
    """Predictions per second that can be made at most; others wait for their turn."""

    rate: float = Field(gt=0)


class InjectedLeak(_Model):
    """Memory that the process takes and does not let go of."""

    mib_per_second: float = Field(gt=0, le=256)


class InjectedTelemetry(_Model):
    """What the process measures wrongly: predictions that it misses, milliseconds for seconds."""

    missed: float = Field(default=0.0, ge=0, le=1)
    milliseconds: bool = False


class InjectedSkew(_Model):
    """Seconds by which the process's wall clock is ahead."""

    seconds: float = Field(ge=-86_400, le=86_400)


class FaultState(_Model):
    """All faults that are set; what is absent is off."""

    errors: InjectedErrors | None = None
    latency: InjectedLatency | None = None
    unloaded: InjectedUnload | None = None
    log: InjectedLogFailure | None = None
    capacity: InjectedCapacity | None = None
    leak: InjectedLeak | None = None
    telemetry: InjectedTelemetry | None = None
    clock: InjectedSkew | None = None


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
        clock: of the process, which a fault sets wrong.
    """

    def __init__(self, seed: int, clock: WallClock | None = None) -> None:
        rng = Random(seed)  # noqa: S311 - repeatable on purpose, guards nothing
        self._failing, self._slow = _Sampling(rng.random()), _Sampling(rng.random())
        self._missed = _Sampling(rng.random())
        self._next = 0.0
        self._leak = Leak()
        self._clock = clock or WallClock()
        self._state = FaultState()

    @property
    def state(self) -> FaultState:
        """All of them."""
        return self._state

    @state.setter
    def state(self, state: FaultState) -> None:
        before, self._state = self._state, state
        if before.leak != state.leak:
            self._leak.set(0.0 if state.leak is None else state.leak.mib_per_second)
        if before.clock != state.clock:
            self._clock.set_ahead(0.0 if state.clock is None else state.clock.seconds)

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

    def turn(self, now: float, due: float) -> float:
        """Seconds until it is this request's turn; what comes too late takes no turn.

        It leaves time for the rest: what is refused only then has its row in the log.
        """
        capacity = self.state.capacity
        if capacity is None:
            return 0.0
        turn = max(now, self._next)
        if turn > now + WAITING * (due - now):
            return max(0.0, due - now) + EARLY
        self._next = turn + 1 / capacity.rate
        return turn - now

    def misses(self) -> bool:
        """Whether the counter of predictions misses this one."""
        telemetry = self.state.telemetry
        return telemetry is not None and self._missed.chooses(telemetry.missed)

    @property
    def unit(self) -> float:
        """By what durations of inferences are multiplied."""
        telemetry = self.state.telemetry
        return 1000.0 if telemetry is not None and telemetry.milliseconds else 1.0

    def require_log(self) -> None:
        """Nothing, unless the prediction log is to fail now; called by the thread of the log.

        Raises:
            LogError: it is.
        """
        if self.state.log is not None:
            raise LogError(REFUSED)
