"""The load plan: what is sent, when and how drifted; all times in real seconds.

A plan is a sequence of phases, each with one rate and one drift. It says which request is due
when; who sends it is Locust's business (see :mod:`testbed_load.schedule`).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from testbed_domain.files import read_regular

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from testbed_domain.features import Row

SCHEMA_VERSION: Final = 1

# One user has one request in flight, so the pool of users bounds how many requests pile up. Two
# seconds' worth of requests lets a slow service show its queue, and the cap keeps it bounded.
POOL_SECONDS: Final = 2.0
MINIMUM_USERS: Final = 10
MAXIMUM_USERS: Final = 500

# Request ids are made of the run id; they must fit a header and the prediction log's column.
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")


@dataclass(frozen=True, slots=True)
class PlannedOnly:
    """Which rows drift: ``column`` has this value, or is a number above this one."""

    column: str
    equals: str | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        """Refuse what says nothing, or two things."""
        if (self.equals is None) == (self.above is None):
            raise LoadError(f"only {self.column}: give either equals or above")

    def holds(self, row: Row) -> bool:
        """Whether this row, as it was drawn, drifts."""
        value = row[self.column]
        if self.above is None:
            return value == self.equals
        return isinstance(value, int | float) and value > self.above


@dataclass(frozen=True, slots=True)
class PlannedDrift:
    """A named transformation of :mod:`testbed_load.drifts`.

    Attributes:
        name: as there.
        severity: 0 is the identity.
        only: the rows that drift; None drifts all.
    """

    name: str
    severity: float = 1.0
    only: PlannedOnly | None = None


@dataclass(frozen=True, slots=True)
class LoadPhase:
    """A stretch of time with one load and one drift.

    Attributes:
        name: unique within the plan.
        duration: seconds.
        rate: requests per second, evenly spaced; None sends with ``users`` as fast as they can.
        drift: how rows are changed, or None.
        requests: the phase ends after exactly so many requests, however long that takes.
        users: requests in flight at most; None derives it from the rate.
    """

    name: str
    duration: float
    rate: float | None
    drift: PlannedDrift | None = None
    requests: int | None = None
    users: int | None = None

    @property
    def slots(self) -> int | None:
        """Number of requests that the phase plans; None where neither rate nor count says so."""
        if self.requests is not None or self.rate is None:
            return self.requests
        # Request k is due at k / rate; the one due at the very end belongs to the next phase.
        return math.ceil(round(self.duration * self.rate, 6))

    @property
    def pool(self) -> int:
        """Users that this phase needs."""
        if self.users is not None:
            return self.users
        wanted = math.ceil((self.rate or 0.0) * POOL_SECONDS)
        return min(max(wanted, MINIMUM_USERS), MAXIMUM_USERS)


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """Truth that is posted later: for which share of the answered requests, after how long."""

    share: float = 1.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
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
    """

    run_id: str
    seed: int
    use_case: str
    phases: tuple[LoadPhase, ...]
    artefact: Path | None = None
    data: Path | None = None
    labels: LabelPlan = field(default_factory=LabelPlan)
    timeout: float = 10.0

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if not _RUN_ID.fullmatch(self.run_id):
            raise LoadError(
                f"run_id must be 1 to 48 letters, digits, '.', '_' or '-', not {self.run_id!r}"
            )
        if self.seed < 0:
            raise LoadError(f"seed must be 0 or more, not {self.seed}")
        if not self.phases:
            raise LoadError("phases: a load plan needs at least one")
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise LoadError(f"phases: names must differ, these don't: {', '.join(names)}")
        if any(phase.requests is not None for phase in self.phases[:-1]):
            raise LoadError("phases: only the last one may end by a number of requests")
        for phase in self.phases:
            if phase.rate is None and (phase.users is None or len(self.phases) > 1):
                raise LoadError(
                    f"phases: {phase.name!r} has no rate; that needs 'users', and no other phase"
                )

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

    def rate_at(self, t: float) -> float:
        """Planned requests per second at ``t``; 0 outside the load, NaN where none is planned."""
        phase = self.phase_at(t)
        if phase is None:
            return 0.0
        return math.nan if phase.rate is None else phase.rate

    def users_at(self, t: float) -> int:
        """Users at ``t``: the whole pool during the load, else 0."""
        return self.users if self.phase_at(t) else 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, as in ``docs/architecture.md``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "seed": self.seed,
            "use_case": self.use_case,
            "artefact": None if self.artefact is None else str(self.artefact),
            "data": None if self.data is None else str(self.data),
            "phases": [_phase_to_dict(phase) for phase in self.phases],
            "labels": {"share": self.labels.share, "delay": self.labels.delay},
            "timeout": self.timeout,
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            LoadError: a field is missing, unknown or out of range; names the field.
        """
        top = _Fields(data, "")
        version = top.take("schema_version")
        if version != SCHEMA_VERSION:
            raise LoadError(f"schema_version must be {SCHEMA_VERSION}, not {version!r}")
        labels = _Fields(top.take("labels", {}), "labels")
        phases = top.take("phases")
        if not isinstance(phases, list):
            raise LoadError("phases must be a list")
        plan = cls(
            run_id=top.text("run_id"),
            seed=top.integer("seed", minimum=0),
            use_case=top.text("use_case"),
            phases=tuple(
                _phase_from_dict(_Fields(item, f"phases[{index}]"))
                for index, item in enumerate(phases)
            ),
            artefact=top.path("artefact"),
            data=top.path("data"),
            labels=LabelPlan(
                share=labels.number("share", default=1.0, maximum=1.0),
                delay=labels.number("delay", default=0.0),
            ),
            timeout=top.number("timeout", default=10.0, positive=True),
        )
        labels.done()
        top.done()
        return plan


def read_plan(path: Path) -> LoadPlan:
    """Read and check a plan file.

    Raises:
        LoadError: the file can't be read or breaks the schema; names the file and the field.
    """
    try:
        data = json.loads(read_regular(path))
    except (OSError, ValueError) as error:
        raise LoadError(f"cannot read the load plan {path}: {error}") from error
    try:
        return LoadPlan.from_dict(data)
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from error


def write_plan(path: Path, plan: LoadPlan) -> None:
    """Write a plan file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan.to_dict(), indent=2) + "\n", encoding="utf-8")


def _phase_to_dict(phase: LoadPhase) -> dict[str, Any]:
    data: dict[str, Any] = {"name": phase.name, "duration": phase.duration, "rate": phase.rate}
    drift = phase.drift
    data["drift"] = drift and _drift_to_dict(drift)
    optional = {"requests": phase.requests, "users": phase.users}
    return data | {key: value for key, value in optional.items() if value is not None}


def _drift_to_dict(drift: PlannedDrift) -> dict[str, Any]:
    data: dict[str, Any] = {"name": drift.name, "severity": drift.severity}
    return data if drift.only is None else data | {"only": asdict(drift.only)}


def _drift_from_dict(fields: _Fields) -> PlannedDrift:
    only = None
    raw = fields.take("only", None)
    if raw is not None:
        inner = _Fields(raw, f"{fields.where}.only")
        above = inner.take("above", None)
        only = PlannedOnly(
            inner.text("column"),
            inner.take("equals", None),
            None if above is None else number(above, inner.name("above"), minimum=-math.inf),
        )
        inner.done()
    drift = PlannedDrift(fields.text("name"), fields.number("severity", default=1.0), only)
    fields.done()
    return drift


def _phase_from_dict(fields: _Fields) -> LoadPhase:
    raw = fields.take("drift", None)
    drift = None if raw is None else _drift_from_dict(_Fields(raw, f"{fields.where}.drift"))
    rate = fields.take("rate")
    phase = LoadPhase(
        name=fields.text("name"),
        duration=fields.number("duration", positive=True),
        rate=None if rate is None else number(rate, fields.name("rate"), positive=True),
        drift=drift,
        requests=fields.optional_integer("requests"),
        users=fields.optional_integer("users"),
    )
    fields.done()
    return phase


def number(
    value: object,
    name: str,
    *,
    positive: bool = False,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> float:
    """``value`` as a finite number of at least ``minimum`` (more than 0 where ``positive``).

    Raises:
        LoadError: it isn't; names the field.
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if fits:
        result = float(value)  # type: ignore[arg-type]  # checked just above
        if minimum <= result <= maximum and not (positive and result == 0):
            return result
    least = ", more than 0" if positive else "" if math.isinf(minimum) else ", 0 or more"
    most = "" if math.isinf(maximum) else f", at most {maximum:g}"
    raise LoadError(f"{name} must be a number{least}{most}, not {value!r}")


_REQUIRED: Final = object()


class _Fields:
    """Takes the fields of one JSON object, checked and named in errors."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise LoadError(f"{where or 'the load plan'} must be a JSON object")
        self.where = where
        self._data = dict(data)

    def name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def take(self, key: str, default: object = _REQUIRED) -> Any:  # noqa: ANN401 - JSON is untyped
        value = self._data.pop(key, default)
        if value is _REQUIRED:
            raise LoadError(f"{self.name(key)} is missing")
        return value

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value:
            raise LoadError(f"{self.name(key)} must be a text, not {value!r}")
        return value

    def _given(self, key: str) -> bool:
        """Whether the key has a value; a null counts as left out."""
        if self._data.get(key) is not None:
            return True
        self._data.pop(key, None)
        return False

    def path(self, key: str) -> Path | None:
        return Path(self.text(key)) if self._given(key) else None

    def integer(self, key: str, *, minimum: int) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise LoadError(
                f"{self.name(key)} must be a whole number, {minimum} or more, not {value!r}"
            )
        return value

    def optional_integer(self, key: str) -> int | None:
        return self.integer(key, minimum=1) if self._given(key) else None

    def number(
        self,
        key: str,
        *,
        default: float | None = None,
        positive: bool = False,
        maximum: float = math.inf,
    ) -> float:
        value = self.take(key, _REQUIRED if default is None else default)
        return number(value, self.name(key), positive=positive, maximum=maximum)

    def done(self) -> None:
        if self._data:
            unknown = ", ".join(self.name(key) for key in self._data)
            raise LoadError(f"unknown field: {unknown}")
