"""The plan that the load read, against what the scenario says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from testbed_load.errors import LoadError
from testbed_load.forms import DriftForm
from testbed_load.plan import read_plan
from testbed_load.shapes import ShapeModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_load.arrivals import DueTimes
    from testbed_load.plan import LoadPhase, LoadPlan, Only

    from testbed.facts.runfile import RunIdentity
    from testbed.facts.sources import Sources
    from testbed.scenario import Phase, Scenario


def due_times(scenario: Scenario, factor: float, seed: int) -> tuple[DueTimes | None, ...]:
    """When the requests of each phase are due, in real seconds from its begin; None of users.

    Made from the scenario again, without the plan that the load was given.
    """
    return tuple(phase.played(factor).due_times(seed) for phase in scenario.phases)


def read_load_plan(sources: Sources) -> tuple[LoadPlan | None, str]:
    """The plan, or why there is none."""
    try:
        return read_plan(sources.layout.load_plan), ""
    except LoadError as error:
        return None, str(error)


def plan_differences(plan: LoadPlan, sources: Sources, run: RunIdentity) -> tuple[str, ...]:
    """What the plan says otherwise than the scenario, one line each."""
    labels = sources.scenario.labels
    pairs = [
        ("run id", run.id, plan.run_id),
        ("seed", run.seed, plan.seed),
        ("use case", run.use_case, plan.use_case),
        ("share of labels", labels.ratio, plan.labels.ratio),
        ("delay of labels", sources.real(labels.delay), plan.labels.delay),
        ("share of sampled traces", run.trace_ratio, plan.trace_ratio),
        ("model", _path(sources), plan.artefact and str(plan.artefact.resolve())),
    ]
    wanted = sources.scenario.phases
    pairs.append(("phases", _names(wanted), _names(plan.phases)))
    if _names(wanted) == _names(plan.phases):
        for phase, played in zip(wanted, plan.phases, strict=True):
            pairs += _phase_pairs(sources, phase, played)
    return tuple(
        f"{what}: the scenario says {_shown(one)}, the load's plan {_shown(other)}"
        for what, one, other in pairs
        if not _same(one, other)
    )


def _phase_pairs(
    sources: Sources, phase: Phase, played: LoadPhase
) -> Iterator[tuple[str, object, object]]:
    of = f"of phase {phase.name}"
    yield f"duration {of} in real seconds", sources.real(phase.duration), played.duration
    yield f"rate {of}", phase.rate, played.rate
    yield f"shape {of}", phase.shape, played.shape
    yield f"arrivals {of}", phase.arrivals, played.arrivals
    yield f"users {of}", phase.users, played.users
    yield f"wait {of}", phase.wait, played.wait
    yield f"spawn rate {of}", phase.spawn_rate, played.spawn_rate
    drift, own = phase.drift, played.drift
    yield f"drift {of}", drift and drift.name, own and own.name
    if drift and own:
        yield f"severity {of}", drift.severity, own.severity
        yield f"rows that drift {of}", _rows(drift.only), _rows(own.only)
        yield f"column that drifts {of}", drift.column, own.column
        yield f"form of the drift {of}", drift.form, own.form
    yield f"number of requests {of}", None, played.requests


def _rows(only: Only | None) -> tuple[object, ...] | None:
    return None if only is None else (only.column, only.equals, only.above)


def _path(sources: Sources) -> str:
    return str(sources.layout.model.resolve())


def _names(phases: tuple[Phase, ...] | tuple[LoadPhase, ...]) -> str:
    return ", ".join(phase.name for phase in phases)


def _same(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, ShapeModel | DriftForm):
        return value.description
    return f"{value:g}" if isinstance(value, float) else str(value)
