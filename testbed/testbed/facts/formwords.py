"""What share of a phase's rows must drift when, written anew from the words of the forms.

As :mod:`testbed.facts.driftwords` it shares no code with the load's forms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.facts.bounds import BoundedSample, ratio_bound
from testbed.facts.deviations import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_load.forms import DriftForm
    from testbed_load.plan import LoadPhase

FORM_TESTS: Final = 10
"""Tenths of a phase, each with the share of its rows that drift."""
DRIFTING: Final = "share of the rows that drift"


def form_quantities(
    phase: LoadPhase,
    places: Sequence[int],
    drifting: np.ndarray,
    seed: int,
    exponent: float,
) -> Iterator[Quantity]:
    """How many of the rows drift in each tenth of a phase; nothing where all do.

    Args:
        phase: as it was played.
        places: numbers of the requests within the phase.
        drifting: which of them drift.
        seed: of the traffic.
        exponent: of the bounds.
    """
    form = phase.drift.form if phase.drift else None
    times = phase.due_times(seed)
    if form is None or times is None:
        return
    when = np.array([times.at(place) / phase.duration for place in places])
    wanted = np.array([_ratio(form, place) for place in when.tolist()])
    tenths = np.minimum((when * FORM_TESTS).astype(int), FORM_TESTS - 1)
    for tenth in np.unique(tenths).tolist():
        here = tenths == tenth
        ratio = float(wanted[here].mean())
        bound = ratio_bound(ratio, BoundedSample(int(here.sum()), None), exponent)
        found = float(drifting[here].mean())
        yield Quantity(f"tenth {tenth + 1} of the phase", DRIFTING, ratio, found, bound)


def _ratio(form: DriftForm, place: float) -> float:
    says = form.model_dump()
    match says["kind"]:
        case "sudden":
            return 0.0 if place < says["at"] else 1.0
        case "gradual":
            return float(np.interp(place, (says["start"], says["end"]), (0.0, 1.0)))
        case "recurring":
            cycle = place * says["cycles"]
            return 1.0 if cycle - math.floor(cycle) >= 1.0 - says["width"] else 0.0
        case _:
            return math.sin(math.pi * says["cycles"] * place) ** 2
