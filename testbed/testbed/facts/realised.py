"""The load itself: planned against sent, and the drift of each phase recomputed from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_load.errors import LoadError

from testbed.charts import Kept
from testbed.facts.bounds import RUN_LEVEL, level
from testbed.facts.deviations import (
    Deviation,
    Quantity,
    agreement_quantity,
    column_quantities,
    distance,
    label_quantities,
    together_quantity,
)
from testbed.facts.driftwords import NOTHING, effect_of
from testbed.facts.expectation import BLOCK, Expectation, Reference
from testbed.facts.findings import EXAMPLES, Finding
from testbed.facts.labelposts import LabelPosts, label_posts, postings
from testbed.facts.loadplan import plan_differences, read_load_plan
from testbed.facts.pairing import compare, drawn_rows
from testbed.facts.planrows import hold_against_plan
from testbed.facts.runfile import read_identity
from testbed.facts.scoring import score
from testbed.facts.sending import Sending, read_sending
from testbed.facts.tables import Table, Tabulator, is_category

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_domain.artefact import Artefact, ReferenceRow
    from testbed_load.plan import LoadPlan

    from testbed.facts.driftwords import Effect
    from testbed.facts.sources import Sources
    from testbed.truth import Request

PAIRED: Final = "paired"
MOVED: Final = 0.05
"""Effect, in standard deviations or total-variation distance, from which on a drift that means to
move a column has moved it."""

__all__ = ["RUN_LEVEL", "Realised", "RealisedColumn", "RealisedPhase", "read_realised"]


class RealisedColumn(Kept):
    """What happened to one column in one phase, against the reference rows of the artefact.

    Attributes:
        name: of the feature.
        kind: as in the feature schema: ``number``, ``integer`` or ``category``.
        effect: shift of the mean in standard deviations of the reference where the column is
            numeric, else the total-variation distance of its values, missing ones among them.
        missing: by how much the share of missing values is higher than in the reference.
        moved: whether the drift of the phase, or anything else, moved the column.
    """

    name: str
    kind: str = ""
    effect: float
    missing: float = 0.0
    moved: bool


class RealisedPhase(Kept):
    """One phase, as its rows were sent.

    Attributes:
        name: of the phase.
        drift: name of the drift that the scenario gives it, or None.
        severity: of that drift; 0 without one.
        rows: requests with features and label.
        known: whether it is known what the drift must do.
        columns: in the schema's order.
        label_shift: total-variation distance of the labels from those of the reference rows.
        labels_moved: whether that is beyond what the sampling explains.
        tests: statistics that were held against their expectation.
        deviations: those that are too far from it.
        changed: rows that differ from the drawn ones otherwise than the drift says.
    """

    name: str
    drift: str | None = None
    severity: float = 0.0
    rows: int = 0
    known: bool = True
    columns: tuple[RealisedColumn, ...] = ()
    label_shift: float = 0.0
    labels_moved: bool = False
    tests: int = 0
    deviations: tuple[Deviation, ...] = ()
    changed: tuple[Finding, ...] = ()


class Realised(Kept):
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
    planned_rows: tuple[Finding, ...] = ()
    not_planned: str = ""
    phases: tuple[RealisedPhase, ...] = ()
    not_drawn: str = ""


def read_realised(sources: Sources) -> Realised:
    """Read plan and artefact, and hold the truth against them.

    Raises:
        TestbedError: the run's identity can't be read.
    """
    run, truth = read_identity(sources.layout), sources.truth
    plan, no_plan = read_load_plan(sources)
    delay = sources.real(sources.scenario.labels.delay)
    due = postings(truth, sources.scenario.labels, run.seed)
    realised = Realised(
        plan=(no_plan,) if plan is None else plan_differences(plan, sources, run),
        sending=read_sending(sources, run.id),
        labels=label_posts(truth, due, delay),
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


def _by_phase(requests: Sequence[Request], plan: LoadPlan | None) -> dict[str, dict[int, Request]]:
    """Index within the phase to the request, for each phase of the plan that was played."""
    found: dict[str, dict[int, Request]] = {}
    first = 0
    for phase in () if plan is None else plan.phases:
        found[phase.name] = {}
        last = first + (phase.slots or 0)
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
    rows = [row.features for row in scored]
    try:
        found = hold_against_plan(plan, artefact, rows, list(sent.values()))
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
                    number,
                    phase.name,
                    (phase.drift.name, phase.drift.severity) if phase.drift else (None, 0.0),
                    sent.get(phase.name, {}),
                    exponent,
                )
                for number, phase in enumerate(phases)
            )
        }
    except DomainError as error:
        return {"not_drawn": str(error)}


@dataclass(frozen=True)
class Study:
    """Recomputes the drift of phases.

    Attributes:
        artefact: whose rows were sent.
        scored: its reference rows.
        seed: of the traffic.
    """

    artefact: Artefact
    scored: Sequence[ReferenceRow]
    seed: int

    @cached_property
    def reference(self) -> Reference:
        """The reference rows as a table."""
        tabulator = Tabulator(self.artefact.schema)
        table = tabulator([r.features for r in self.scored], [r.label for r in self.scored])
        return Reference(tabulator, table, drawn_from=any(True for _ in self.artefact.pool()))

    @cached_property
    def predicted(self) -> np.ndarray:
        """Places of the classes that the model predicts for the reference rows."""
        places = {str(label): place for place, label in enumerate(self.artefact.schema.classes)}
        return np.array([places[row.prediction] for row in self.scored])

    @property
    def tests(self) -> int:
        """Statistics of one phase at most."""
        schema = self.artefact.schema
        own = sum(
            self.reference.tabulator.size(feature) if is_category(feature) else 3
            for feature in schema.features
        )
        return own + len(schema.features) + len(schema.classes) + 4

    def phase(
        self,
        number: int,
        name: str,
        drift: tuple[str | None, float],
        sent: Mapping[int, Request],
        exponent: float,
    ) -> RealisedPhase:
        """Recompute one phase.

        Args:
            number: of the phase, from 0.
            name: of the phase.
            drift: name and severity that the scenario says.
            sent: index within the phase to the request.
            exponent: of the bounds.

        Raises:
            DomainError: rows don't fit the schema, or can't be drawn again.
        """
        effect = effect_of(*drift, self.artefact.schema)
        about = RealisedPhase(
            name=name, drift=drift[0], severity=drift[1], rows=len(sent), known=effect is not None
        )
        if not sent:
            return about
        requests = [sent[index] for index in sorted(sent)]
        reference = self.reference
        table = reference.tabulator([r.features for r in requests], [r.label for r in requests])
        still = Expectation(reference, NOTHING)
        expected = Expectation(reference, effect or NOTHING)
        labels = list(label_quantities(table, still, exponent))
        about = about.model_copy(
            update={
                "columns": self._columns(table, still, expected, exponent),
                "label_shift": round(sum(abs(q.found - q.expected) for q in labels) / 2, 6),
                "labels_moved": any(quantity.deviates for quantity in labels),
            }
        )
        if effect is None:
            return about
        quantities = list(self._quantities(requests, table, expected, exponent))
        changed, paired = self._paired(number, sent, table, expected, exponent)
        quantities += paired
        return about.model_copy(
            update={
                "tests": len(quantities),
                "deviations": tuple(each.deviation() for each in quantities if each.deviates),
                "changed": changed,
            }
        )

    def _columns(
        self, table: Table, still: Expectation, expected: Expectation, exponent: float
    ) -> tuple[RealisedColumn, ...]:
        found = []
        for feature in self.artefact.schema.features:
            effect = distance(feature, table, still)
            missing = self._missing(table, feature.name) - still.missing(feature)
            deviates = any(
                quantity.deviates for quantity in column_quantities(feature, table, still, exponent)
            )
            meant = _means_to_move(feature.name, expected.effect)
            large = max(abs(effect), abs(missing)) >= MOVED
            found.append(
                RealisedColumn(
                    name=feature.name,
                    kind=feature.kind,
                    effect=round(effect, 6),
                    missing=round(missing, 6),
                    moved=deviates or (meant and large),
                )
            )
        return tuple(found)

    def _missing(self, table: Table, name: str) -> float:
        values = table.columns[name]
        gone = np.isnan(values) if values.dtype.kind == "f" else values == 0
        return float(gone.mean())

    def _quantities(
        self,
        requests: Sequence[Request],
        table: Table,
        expected: Expectation,
        exponent: float,
    ) -> Iterator[Quantity]:
        for feature in self.artefact.schema.features:
            yield from column_quantities(feature, table, expected, exponent)
        yield from label_quantities(table, expected, exponent)
        effect = expected.effect
        if effect.columns or effect.replaced:
            return  # how columns and labels go together then, no word of these drifts says
        together = together_quantity(table, expected, exponent)
        if together is not None:
            yield together
        if not effect.apart:
            predicted = score(self.artefact, requests).argmax(axis=1)
            yield agreement_quantity(predicted, self.predicted, table, expected, exponent)

    def _paired(
        self,
        number: int,
        sent: Mapping[int, Request],
        table: Table,
        expected: Expectation,
        exponent: float,
    ) -> tuple[tuple[Finding, ...], list[Quantity]]:
        places = np.array(sorted(sent))
        count = (int(places.max()) // BLOCK + 1) * BLOCK
        drawn = drawn_rows(self.artefact, self.seed, number, count)
        base = self.reference.tabulator([row for row, _ in drawn], [label for _, label in drawn])
        pairs = compare(table, base, places, expected, exponent)
        changed = []
        for subject, wrong in pairs.wrong.items():
            examples = []
            for row in wrong[:EXAMPLES].tolist():
                request, (features, label) = sent[int(places[row])], drawn[int(places[row])]
                own, other = _values(subject, request, features, label)
                examples.append(f"{request.request_id}: drawn {other}, sent {own}")
            changed.append(
                Finding(
                    kind=PAIRED,
                    subject=subject,
                    count=len(wrong),
                    of=len(table),
                    examples=tuple(examples),
                )
            )
        return tuple(changed), pairs.quantities


def _values(
    subject: str, request: Request, features: Mapping[str, object], label: object
) -> tuple[object, object]:
    if subject in features:
        return request.features.get(subject), features[subject]
    return request.label, label


def _means_to_move(name: str, effect: Effect) -> bool:
    return name in effect.columns or effect.replaced > 0
