"""The load plan: what is sent, when and how drifted; all times in real seconds.

A plan is a sequence of phases, each with one rate (or shape of it) and one drift. It says which
request is due when; who sends it is Locust's business (see :mod:`testbed_load.schedule`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from testbed_domain.files import read_regular
from testbed_domain.problems import problem

from testbed_load.arrivals import Arrivals, DueTimes, Steady, due_times, peak_rate
from testbed_load.errors import LoadError
from testbed_load.exchange import ServiceExchange
from testbed_load.forms import Form, drifting
from testbed_load.shapes import Shape

SCHEMA_VERSION: Final = 1

# One user has one request in flight, so the pool of users bounds how many requests pile up. Two
# seconds' worth of requests lets a slow service show its queue, and the cap keeps it bounded.
POOL_SECONDS: Final = 2.0
MINIMUM_USERS: Final = 10
MAXIMUM_USERS: Final = 500

MAX_DRAWN: Final = 10_000_000

# Request ids are made of the run id; they must fit a header and the prediction log's column.
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
Ratio = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]

Number = Annotated[float, Field(strict=True)]

_BOUNDED: Final = ConfigDict(extra="forbid", allow_inf_nan=False)
_STRICT: Final = ConfigDict(strict=True, **_BOUNDED)


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class Only:
    """Which rows drift: those with this value of a category, or with more than this in a number."""

    column: str
    equals: str | None = None
    above: Number | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.equals is None) == (self.above is None):
            raise ValueError("give either equals or above")
        return self

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether a row, as it was drawn, drifts."""
        value = row.get(self.column)
        if self.above is None:
            return value == self.equals
        return isinstance(value, int | float) and value > self.above

    @property
    def words(self) -> str:
        """The condition, for people."""
        if self.equals is not None:
            return f"{self.column} = {self.equals}"
        return f"{self.column} > {self.above:g}"


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class PhaseDrift:
    """A named transformation of the sampled rows."""

    name: str = Field(
        description="Transformation of the load package, for example covariate_shift."
    )
    severity: Number = Field(
        default=1.0, ge=0, description="0 changes nothing, 1 is the stated size."
    )
    only: Only | None = Field(default=None, description="The rows that drift; null: all.")
    column: str | None = Field(
        default=None, description="The column that a drift of one column moves; null: its own."
    )
    form: Form | None = Field(
        default=None, description="When rows drift during the phase; null: all the time."
    )

    @property
    def words(self) -> str:
        """How severe it is, and of which rows, for people."""
        parts = [f"severity {self.severity:g}"]
        parts += [f"of {self.column}"] if self.column else []
        parts += [f"only {self.only.words}"] if self.only else []
        parts += [self.form.description] if self.form else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, config=_STRICT)
class LoadPhase:
    """A stretch of time with one load and one drift.

    Attributes:
        name: unique within the plan.
        duration: seconds.
        rate: requests per second; None and no shape: ``users`` send as fast as they can.
        drift: how rows are changed, or None.
        requests: the phase ends after exactly so many requests, however long that takes.
        users: requests in flight at most; None derives it from the rate.
        shape: a rate that changes, in place of ``rate``.
        arrivals: evenly spaced, or drawn.
        wait: think time of users without a rate: seconds from an answer to the user's next request;
            with Poisson arrivals their mean.
        spawn_rate: users without a rate that begin per second; None: within one think time.
    """

    name: Name
    duration: Annotated[float, Field(gt=0)]
    rate: Annotated[float, Field(gt=0)] | None
    drift: PhaseDrift | None = None
    requests: Count | None = None
    users: Count | None = None
    shape: Shape | None = None
    arrivals: Arrivals = "even"
    wait: Annotated[float, Field(ge=0)] = 0.0
    spawn_rate: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if (self.wait or self.spawn_rate) and not self.closed:
            raise ValueError(
                "wait and spawn_rate are of users that send as answers come: leave out rate and "
                "shape"
            )
        if self.rate is not None and self.shape is not None:
            raise ValueError("give either rate or shape")
        if self.requests is not None and (self.shape is not None or self.arrivals != "even"):
            raise ValueError("a number of requests needs a rate, and even arrivals")
        if self.drift is not None and self.drift.form is not None and self.closed:
            raise ValueError("drift.form needs a rate or a shape: it goes by when requests are due")
        planned = peak_rate(self.rate, self.shape) * self.duration
        if self.arrivals != "even" and planned > MAX_DRAWN:
            raise ValueError(
                f"{self.arrivals} arrivals are drawn before the first is sent, at most "
                f"{MAX_DRAWN:,}: choose a shorter duration or a lower rate"
            )
        return self

    @property
    def closed(self) -> bool:
        """Whether its requests follow from answers, so that it plans no times."""
        return self.rate is None and self.shape is None

    def drifting(self, seed: int) -> Callable[[int], bool]:
        """Which of its requests drift, by their number within it; none without a drift."""
        if self.drift is None:
            return lambda _index: False
        form = self.drift.form
        times = None if form is None else self.due_times(seed)
        return drifting(form, times, self.duration, f"{seed} {self.name}")

    def due_times(self, seed: int) -> DueTimes | None:
        """When its requests are due; None where neither rate nor shape says so."""
        found = due_times(
            self.rate, self.shape, self.arrivals, self.duration, f"{seed} {self.name}"
        )
        if self.requests is not None and isinstance(found, Steady):
            return Steady(found.rate, self.requests)
        return found

    def planned(self, seed: int) -> int | None:
        """Requests that it plans; None where neither a rate nor a number says how many."""
        times = self.due_times(seed)
        return self.requests if times is None else times.count

    @property
    def pool(self) -> int:
        """Users that this phase needs."""
        if self.users is not None:
            return self.users
        wanted = math.ceil(peak_rate(self.rate, self.shape) * POOL_SECONDS)
        return min(max(wanted, MINIMUM_USERS), MAXIMUM_USERS)


@dataclass(frozen=True, slots=True, config=_STRICT)
class LabelPlan:
    """Truth that is posted later: for which share of the answered requests, after how long."""

    ratio: Ratio = 1.0
    delay: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True, slots=True, config=_STRICT)
class LoadPlan:
    """Everything that the load is, but for the service's address.

    Attributes:
        run_id: identity of the run, prefix of every request id.
        seed: of rows, drifts and label shares.
        use_case: name of the use case.
        phases: in order; each begins where the one before ends.
        artefact: directory of the model artefact whose rows are sent, or None (generator).
        data: the data file that the artefact was trained on, for people; None if synthetic.
        labels: delayed labels.
        timeout: seconds after which a request counts as failed.
        service: how another service than the bundled API is asked; None: it is that one.
        trace_ratio: share of the requests whose trace is sampled; each has a ``traceparent`` then.
            None: the service draws traces itself.
    """

    run_id: RunId
    seed: Annotated[int, Field(ge=0)]
    use_case: Name
    phases: Annotated[tuple[LoadPhase, ...], Field(min_length=1)]
    artefact: Path | None = None
    data: Path | None = None
    labels: LabelPlan = field(default_factory=LabelPlan)
    timeout: Annotated[float, Field(gt=0)] = 10.0
    service: ServiceExchange | None = None
    trace_ratio: Ratio | None = None
    schema_version: Literal[1] = SCHEMA_VERSION

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phases: names must differ, these don't: {', '.join(names)}")
        if any(phase.requests is not None for phase in self.phases[:-1]):
            raise ValueError("phases: only the last one may end by a number of requests")
        for phase in self.phases:
            if phase.closed and phase.users is None:
                raise ValueError(f"phases: {phase.name!r} has no rate; that needs 'users'")
        return self

    @property
    def starts(self) -> tuple[float, ...]:
        """Start of each phase, in seconds from the first one's, and the end of the last."""
        return tuple(accumulate((phase.duration for phase in self.phases), initial=0.0))

    @property
    def duration(self) -> float:
        """Seconds of load."""
        return self.starts[-1]

    @property
    def users(self) -> int:
        """Size of the pool of users.

        It is as large as the busiest phase needs and stays so: a user that is stopped takes the
        request that it waits for with it.
        """
        return max(phase.pool for phase in self.phases)

    def phase_at(self, t: float) -> LoadPhase | None:
        """The phase ``t`` seconds after the start; None before and after the load."""
        for phase, (start, end) in zip(self.phases, pairwise(self.starts), strict=True):
            if start <= t < end:
                return phase
        return None


_PLAN: Final = TypeAdapter(LoadPlan)
_EXCHANGE: Final = TypeAdapter(ServiceExchange)


def parse_plan(text: str | bytes) -> LoadPlan:
    """The plan of a JSON document, as in ``docs/architecture.md``.

    Raises:
        LoadError: it isn't JSON, or a field is missing, unknown or out of range; names the field.
    """
    try:
        return _PLAN.validate_json(text)
    except ValidationError as error:
        raise LoadError(problem(error.errors(), "the load plan")) from None


def plan_text(plan: LoadPlan) -> str:
    """Inverse of :func:`parse_plan`."""
    return _PLAN.dump_json(plan, indent=2).decode() + "\n"


def read_plan(path: Path) -> LoadPlan:
    """Read and check a plan file.

    Raises:
        LoadError: the file can't be read or breaks the schema; names the file and the field.
    """
    text = _read(path, "the load plan")
    try:
        return parse_plan(text)
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from None


def exchange_text(exchange: ServiceExchange) -> str:
    """Inverse of :func:`read_exchange`, as the content of the file."""
    return _EXCHANGE.dump_json(exchange, indent=2).decode() + "\n"


def read_exchange(path: Path) -> ServiceExchange:
    """Read how a service is asked.

    Raises:
        LoadError: the file can't be read or breaks the schema; names the file and the field.
    """
    try:
        return _EXCHANGE.validate_json(_read(path, "the exchange"))
    except ValidationError as error:
        raise LoadError(f"{path}: {problem(error.errors(), 'the exchange')}") from None


def _read(path: Path, what: str) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise LoadError(f"cannot read {what} {path}: {error.strerror}") from error


def write_plan(path: Path, plan: LoadPlan) -> None:
    """Write a plan file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plan_text(plan), encoding="utf-8")
