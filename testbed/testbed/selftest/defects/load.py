"""What is wrong with the load itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from testbed.checks.stages import Stage
from testbed.planting import Planting
from testbed.selftest.defect import Defect
from testbed.selftest.defects.patched import patched

if TYPE_CHECKING:
    from testbed_load.plan import LoadPlan

_make = patched("load", "load", "quick", Stage.LOAD)


def _fewer(plan: LoadPlan) -> LoadPlan:
    phases = (replace(p, rate=None if p.rate is None else 0.92 * p.rate) for p in plan.phases)
    return replace(plan, phases=tuple(phases))


def _milder(plan: LoadPlan) -> LoadPlan:
    phases = (
        replace(p, drift=p.drift and replace(p.drift, severity=p.drift.severity / 2))
        for p in plan.phases
    )
    return replace(plan, phases=tuple(phases))


def _unlabelled(plan: LoadPlan) -> LoadPlan:
    return replace(plan, labels=replace(plan.labels, ratio=0.5))


LOAD: Final = (
    Defect("plan-fewer", "8 % fewer requests are planned.", "quick", (Stage.LOAD,),
           Planting(plan=_fewer)),
    Defect("plan-milder", "The drift is planned half as severe.", "quick-drift", (Stage.LOAD,),
           Planting(plan=_milder)),
    Defect("plan-half-the-labels", "Half of the labels are never posted.", "quick", (Stage.LOAD,),
           Planting(plan=_unlabelled)),
    _make("no_drift", "The generator does not drift.", scenario="quick-drift"),
    _make("half_drift", "The generator drifts half as much.", scenario="quick-drift"),
    _make("labels_zero", "Every label of the truth is the first class."),
    _make("labels_flipped", "One label of the truth in ten is wrong."),
    _make("failures_as_successes", "Answers with 500 are written down as 200.",
          scenario="quick-errors"),
    _make("same_rows", "The same fifty rows are sent again and again."),
    _make("other_bodies", "One request in ten differs from what the truth holds."),
    _make("shard_lost", "Of the requests of three processes, those of one are sent by nobody.",
          processes=2),
    _make("shard_twice", "Two processes send the same half of the requests.", processes=2),
    _make("bursts", "Requests go out once in three seconds, all at once."),
)  # fmt: skip
