"""Recomputes the drift of a phase from its rows, and compares them with those that were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.charts import StoredModel
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
from testbed.facts.expectation import BLOCK, ReferenceRows, SeriesExpectation, held_values
from testbed.facts.findings import EXAMPLES, StoredFinding
from testbed.facts.formwords import FORM_TESTS, form_quantities
from testbed.facts.pairing import compare, drawn_rows
from testbed.facts.scoring import Scorer
from testbed.facts.tables import LogTable, Tabulator, gone, is_category

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_domain.artefact import Artefact, LabelledRow, ReferenceRow
    from testbed_load.plan import LoadPhase

    from testbed.truth import Request

PAIRED: Final = "paired"
MOVED: Final = 0.05
"""Effect, in standard deviations or total-variation distance, from which on a drift that means to
move a column has moved it."""


class RealisedColumn(StoredModel):
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


class RealisedPhase(StoredModel):
    """One phase, as its rows were sent.

    Attributes:
        name: of the phase.
        drift: name of the drift that the scenario gives it, or None.
        severity: of that drift; 0 without one.
        rows: requests with features and label.
        known: whether it is known what the drift must do.
        columns: in the schema's order.
        labels_moved: whether their rates are further from those of the reference rows than the
            sampling explains.
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
    labels_moved: bool = False
    tests: int = 0
    deviations: tuple[Deviation, ...] = ()
    changed: tuple[StoredFinding, ...] = ()


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
    def reference(self) -> ReferenceRows:
        """The reference rows as a table."""
        tabulator = Tabulator(self.artefact.schema, [row.label for row in self.scored])
        table = tabulator([r.features for r in self.scored], [r.label for r in self.scored])
        return ReferenceRows(tabulator, table, drawn_from=any(True for _ in self.artefact.pool()))

    @cached_property
    def scorer(self) -> Scorer:
        """The model."""
        return Scorer(self.artefact)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Places of the classes, or quarters, that the model predicts for the reference rows."""
        if self.artefact.schema.regression:
            reported = np.array([row.prediction for row in self.scored], float)
            return self.reference.tabulator.quarters(reported)
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
        return (
            own + 2 * len(schema.features) + len(self.reference.tabulator.strata) + 4 + FORM_TESTS
        )

    def phase(
        self,
        number: int,
        played: LoadPhase,
        sent: Mapping[int, Request],
        exponent: float,
    ) -> RealisedPhase:
        """Recompute one phase.

        Where some rows drift only, each is held against the one that was drawn, and nothing else:
        the reference knows nothing of such a part of the traffic.

        Args:
            number: of the phase, from 0.
            played: the phase in real seconds, as the scenario says it.
            sent: index within the phase to the request.
            exponent: of the bounds.

        Raises:
            DomainError: rows don't fit the schema, or can't be drawn again.
        """
        drift = played.drift
        named, severity = (drift.name, drift.severity) if drift else (None, 0.0)
        only, form = (drift.only, drift.form) if drift else (None, None)
        column = drift.column if drift else None
        effect = effect_of(named, severity, self.artefact.schema, column)
        about = RealisedPhase(
            name=played.name,
            drift=named,
            severity=severity,
            rows=len(sent),
            known=effect is not None,
        )
        if not sent:
            return about
        requests = [sent[index] for index in sorted(sent)]
        reference = self.reference
        table = reference.tabulator([r.features for r in requests], [r.label for r in requests])
        drawn = self._drawn(number, sent)
        base = reference.tabulator([row for row, _ in drawn], [label for _, label in drawn])
        still = SeriesExpectation(reference, NOTHING)
        expected = SeriesExpectation(reference, effect or NOTHING, held_values(base))
        labels = list(label_quantities(table, still, exponent))
        by_column = self._by_column(table, still, exponent)
        about = about.model_copy(
            update={
                "columns": self._columns(table, still, expected, by_column),
                "labels_moved": any(quantity.deviates for quantity in labels),
            }
        )
        if effect is None:
            return about
        quantities: list[Quantity] = []
        if only is None and form is None:
            if effect != NOTHING:
                by_column = self._by_column(table, expected, exponent)
            quantities += [quantity for each in by_column.values() for quantity in each]
            quantities += self._of_rows(requests, table, expected, exponent)
        among = np.array([only is None or only.holds(row) for row, _ in drawn])
        drifts = played.drifting(self.seed)
        timely = np.array([drift is None or drifts(place) for place in sorted(sent)])
        quantities += form_quantities(played, sorted(sent), timely, self.seed, exponent)
        moving = among[sorted(sent)] & timely
        parts = ((moving, expected), (~moving, still))
        changed, paired = self._paired(sent, table, (drawn, base, among), parts, exponent)
        quantities += paired
        return about.model_copy(
            update={
                "tests": len(quantities),
                "deviations": tuple(each.deviation() for each in quantities if each.deviates),
                "changed": changed,
            }
        )

    def _by_column(
        self, table: LogTable, expected: SeriesExpectation, exponent: float
    ) -> dict[str, list[Quantity]]:
        return {
            feature.name: list(column_quantities(feature, table, expected, exponent))
            for feature in self.artefact.schema.features
        }

    def _columns(
        self,
        table: LogTable,
        still: SeriesExpectation,
        expected: SeriesExpectation,
        by_column: Mapping[str, Sequence[Quantity]],
    ) -> tuple[RealisedColumn, ...]:
        """What moved, by what undrifted columns would be."""
        found = []
        for feature in self.artefact.schema.features:
            name = feature.name
            effect = distance(feature, table, still)
            missing = float(gone(feature, table.columns[name]).mean()) - still.missing(feature)
            deviates = any(quantity.deviates for quantity in by_column[name])
            meant = name in expected.effect.columns or expected.effect.replaced > 0
            large = max(abs(effect), abs(missing)) >= MOVED
            found.append(
                RealisedColumn(
                    name=name,
                    kind=feature.kind,
                    effect=round(effect, 6),
                    missing=round(missing, 6),
                    moved=deviates or (meant and large),
                )
            )
        return tuple(found)

    def _of_rows(
        self,
        requests: Sequence[Request],
        table: LogTable,
        expected: SeriesExpectation,
        exponent: float,
    ) -> Iterator[Quantity]:
        """Statistics of labels, and of how columns and labels go together."""
        yield from label_quantities(table, expected, exponent)
        effect = expected.effect
        if effect.columns or effect.replaced:
            return  # how they go together then, no word of these drifts says
        together = together_quantity(table, expected, exponent)
        if together is not None and not effect.dealt:
            yield together
        if not effect.apart and self.artefact.has_model:
            scores = self.scorer([request.features for request in requests])
            predicted = (
                self.reference.tabulator.quarters(scores[:, 0])
                if self.artefact.schema.regression
                else scores.argmax(axis=1)
            )
            yield agreement_quantity(predicted, self.predicted, table, expected, exponent)

    def _drawn(self, number: int, sent: Mapping[int, Request]) -> list[LabelledRow]:
        """The rows of a phase as they were drawn, up to the end of the last one's block."""
        count = (max(sent) // BLOCK + 1) * BLOCK
        return drawn_rows(self.artefact, self.seed, number, count)

    def _paired(
        self,
        sent: Mapping[int, Request],
        table: LogTable,
        origin: tuple[Sequence[LabelledRow], LogTable, np.ndarray],
        parts: Sequence[tuple[np.ndarray, SeriesExpectation]],
        exponent: float,
    ) -> tuple[tuple[StoredFinding, ...], list[Quantity]]:
        """Hold each row against the drawn one; ``parts`` say which rows must look like what.

        ``origin`` are the drawn rows, the same as a table, and which of them the drift deals with.
        """
        places = np.array(sorted(sent))
        drawn, base, among = origin
        wrong: dict[str, list[int]] = {}
        quantities: list[Quantity] = []
        for chosen, expected in parts:
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            pairs = compare(table.take(rows), base, places[rows], expected, exponent, among)
            quantities += pairs.quantities
            for subject, found in pairs.wrong.items():
                wrong.setdefault(subject, []).extend(rows[found].tolist())
        changed = []
        for subject, rows_of_it in wrong.items():
            examples = []
            for row in rows_of_it[:EXAMPLES]:
                request, (features, label) = sent[int(places[row])], drawn[int(places[row])]
                own, other = _values(subject, request, features, label)
                examples.append(f"{request.request_id}: drawn {other}, sent {own}")
            changed.append(
                StoredFinding(
                    kind=PAIRED,
                    subject=subject,
                    count=len(rows_of_it),
                    of=len(table),
                    examples=tuple(examples),
                )
            )
        return tuple(changed), quantities


def _values(
    subject: str, request: Request, features: Mapping[str, object], label: object
) -> tuple[object, object]:
    if subject in features:
        return request.features.get(subject), features[subject]
    return request.label, label
