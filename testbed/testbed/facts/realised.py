"""The load itself: planned against sent, and the drift of each phase recomputed from the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_load.errors import LoadError

from testbed.charts import StoredModel
from testbed.facts.bounds import level
from testbed.facts.driftstudy import RealisedColumn, RealisedPhase, Study
from testbed.facts.findings import StoredFinding
from testbed.facts.labelposts import LabelPosts, label_posts, postings
from testbed.facts.loadplan import plan_differences, read_load_plan
from testbed.facts.planrows import hold_against_plan
from testbed.facts.runfile import read_identity
from testbed.facts.sending import Sending, read_sending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.artefact import Artefact, ReferenceRow
    from testbed_load.plan import LoadPlan

    from testbed.facts.sources import Sources
    from testbed.truth import Request

__all__ = ["Realised", "RealisedColumn", "RealisedPhase", "read_realised"]


class Realised(StoredModel):
    """What the load sent, against scenario, plan and reference.

    Attributes:
        plan: what the plan that the load read says otherwise than the scenario, one line each.
        sending: planned against sent.
        labels: how labels were posted.
        planned_rows: rows that are not those that the load's code makes of its plan.
        not_planned: why that could not be seen; empty where it was.
        phases: as in the scenario, in order; those without a row are there, too.
        not_drawn: why the drift could not be recomputed; empty where it was.
    """

    plan: tuple[str, ...] = ()
    sending: Sending | None = None
    labels: LabelPosts | None = None
    planned_rows: tuple[StoredFinding, ...] = ()
    not_planned: str = ""
    phases: tuple[RealisedPhase, ...] = ()
    not_drawn: str = ""


def read_realised(sources: Sources) -> Realised:
    """Read plan and artefact, and hold the truth against them.

    Raises:
        DomainError: the run's identity can't be read.
    """
    run, truth = read_identity(sources.layout), sources.truth
    plan, no_plan = read_load_plan(sources)
    delay = sources.real(sources.scenario.labels.delay)
    due = postings(truth, sources.scenario.labels, run.seed)
    realised = Realised(
        plan=(no_plan,) if plan is None else plan_differences(plan, sources, run),
        sending=read_sending(sources, run.id, run.seed),
        labels=label_posts(truth, due, delay, takes_labels=_takes_labels(plan)),
    )
    try:
        artefact = load_artefact(sources.layout.model)
        scored = list(artefact.reference())
    except DomainError as error:
        return realised.model_copy(update={"not_planned": str(error), "not_drawn": str(error)})
    sent = _by_phase(truth.requests, plan)
    return realised.model_copy(
        update={
            **_planned(plan, artefact, scored, sent),
            **_phases(sources, artefact, scored, sent, run.seed),
        }
    )


def _takes_labels(plan: LoadPlan | None) -> bool:
    """Whether the service is told labels: the bundled API is, others where their file says how."""
    return plan is None or plan.service is None or plan.service.labels is not None


def _by_phase(requests: Sequence[Request], plan: LoadPlan | None) -> dict[str, dict[int, Request]]:
    """Index within the phase to the request, for each phase of the plan that was played."""
    found: dict[str, dict[int, Request]] = {}
    first = 0
    if plan is None:
        return found
    for phase in plan.phases:
        found[phase.name] = {}
        planned = phase.planned(plan.seed)
        if planned is None:  # users number as many as they send
            planned = sum(request.phase == phase.name for request in requests)
        last = first + planned
        found[phase.name] = {
            r.seq - first: r for r in requests if r.phase == phase.name and first <= r.seq < last
        }
        first = last
    return found


def _planned(
    plan: LoadPlan | None,
    artefact: Artefact,
    scored: Sequence[ReferenceRow],
    sent: Mapping[str, Mapping[int, Request]],
) -> dict[str, object]:
    if plan is None:
        return {"not_planned": "the load's plan can't be read"}
    try:
        found = hold_against_plan(plan, artefact, scored, list(sent.values()))
    except (DomainError, LoadError) as error:
        return {"not_planned": str(error)}
    return {"planned_rows": found}


def _phases(
    sources: Sources,
    artefact: Artefact,
    scored: Sequence[ReferenceRow],
    sent: Mapping[str, Mapping[int, Request]],
    seed: int,
) -> dict[str, object]:
    study = Study(artefact, scored, seed)
    phases = sources.scenario.phases
    exponent = level(len(phases) * study.tests)
    try:
        return {
            "phases": tuple(
                study.phase(
                    number, phase.played(sources.factor), sent.get(phase.name, {}), exponent
                )
                for number, phase in enumerate(phases)
            )
        }
    except DomainError as error:
        return {"not_drawn": str(error)}
