"""Ready-made load for use without a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError
from testbed_domain.problems import problem

from testbed_load.drifts import get_drift
from testbed_load.errors import LoadError
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, PhaseDrift

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_load.arrivals import Arrivals
    from testbed_load.exchange import ServiceExchange
    from testbed_load.forms import DriftForm
    from testbed_load.shapes import ShapeModel

BURST_REQUESTS: Final = 100
BURST_USERS: Final = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """A named kind of load.

    Attributes:
        description: for people.
        drifted: whether rows are drifted.
        rate: requests per second unless said otherwise; None sends as fast as it goes.
    """

    description: str
    drifted: bool
    rate: float | None


PROFILES: Final[Mapping[str, Profile]] = {
    "normal": Profile("Rows as the model knows them, at a steady rate.", drifted=False, rate=50.0),
    "drifted": Profile("Rows drifted away from the reference.", drifted=True, rate=50.0),
    "burst": Profile(
        f"{BURST_REQUESTS} requests as fast as {BURST_USERS} users get answers.",
        drifted=False,
        rate=None,
    ),
}


def profile(  # noqa: PLR0913 - one keyword per option of the command
    name: str,
    *,
    seed: int,
    use_case: str,
    rate: float | None = None,
    duration: float = 60.0,
    requests: int | None = None,
    users: int | None = None,
    drift: str = "covariate_shift",
    severity: float = 1.0,
    artefact: Path | None = None,
    data: Path | None = None,
    labels: LabelPlan | None = None,
    timeout: float = 10.0,
    run_id: str = "load",
    shape: ShapeModel | None = None,
    arrivals: Arrivals = "even",
    column: str | None = None,
    form: DriftForm | None = None,
    trace_ratio: float | None = None,
    wait: float = 0.0,
    service: ServiceExchange | None = None,
) -> LoadPlan:
    """A plan of one phase.

    Args:
        name: key of :data:`PROFILES`.
        seed: of all randomness.
        use_case: name of the use case.
        rate: requests per second, evenly spaced; None takes the profile's.
        duration: seconds, unless ``requests`` is given.
        requests: end after exactly so many.
        users: requests in flight at most; without a rate they send as fast as answers come.
        drift: name of the drift, for a drifted profile.
        severity: its severity.
        artefact: model artefact whose rows are sent, or None for the use case's generator.
        data: file that the artefact was trained on, if any.
        labels: delayed labels; all of them at once unless said otherwise.
        timeout: seconds after which a request counts as failed.
        run_id: prefix of the request ids.
        shape: a rate that changes over the duration, in place of ``rate``.
        arrivals: evenly spaced, or drawn.
        column: that a drift of one column moves, in place of its own.
        form: when rows drift; None: all the time.
        wait: seconds that a user thinks before its next request, without a rate.
        trace_ratio: share of the requests whose trace is sampled; None sends no trace.
        service: how another service than the bundled API is asked.

    Raises:
        LoadError: a name is unknown or a value out of range; names the option.
    """
    try:
        chosen = PROFILES[name]
    except KeyError:
        raise LoadError(f"unknown profile {name!r}; choose one of: {', '.join(PROFILES)}") from None
    if shape is not None and (rate is not None or users is not None or chosen.rate is None):
        raise LoadError("a shape stands in place of a rate, users or a burst: give one of them")
    if rate is None and users is None and shape is None:
        rate = chosen.rate
    if rate is None and users is None and shape is None:
        users = BURST_USERS
    if chosen.rate is None and requests is None:
        requests = BURST_REQUESTS
    if not chosen.drifted and (column is not None or form is not None):
        raise LoadError(f"column and form are of a drift, and the profile {name!r} has none")
    get_drift(drift)
    try:
        if rate and requests and isfinite(rate):
            duration = requests / rate
        phase = LoadPhase(
            name=name,
            duration=duration,
            rate=rate,
            drift=PhaseDrift(name=drift, severity=severity, column=column, form=form)
            if chosen.drifted
            else None,
            requests=requests,
            users=users,
            shape=shape,
            arrivals=arrivals,
            wait=wait,
        )
        return LoadPlan(
            run_id=run_id,
            seed=seed,
            use_case=use_case,
            phases=(phase,),
            artefact=artefact,
            data=data,
            labels=LabelPlan() if labels is None else labels,
            timeout=timeout,
            trace_ratio=trace_ratio,
            service=service,
        )
    except ValidationError as error:
        raise LoadError(problem(error.errors(), "the load")) from None
