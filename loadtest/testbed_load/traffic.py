"""The rows that are sent: a seeded stream per phase, the same for each caller at any time."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from testbed_domain.artefact import LabelledRow, load_artefact
from testbed_domain.featuretable import FeatureTable
from testbed_domain.sampling import Sampler, random_stream, sampler
from testbed_domain.use_cases import get_use_case

from testbed_load import drifts
from testbed_load.errors import LoadError
from testbed_load.statistics import Statistics, reference_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema, Row

    from testbed_load.plan import LoadPhase, LoadPlan, Only, PhaseDrift

# Rows are drawn and drifted in blocks of this size, so that a row depends on its place only.
BLOCK: Final = 256
_STATISTICS_ROWS: Final = 2000


class RowSource(Protocol):
    """Draws the next labelled rows (:class:`testbed_domain.sampling.Sampler`)."""

    def draw(self, n: int) -> list[LabelledRow]:
        """The next ``n`` rows with their labels."""


class Requests:
    """Bodies of requests: the id of a row whose features the service knows, else all features.

    Args:
        field: of the id; None where rows have no ids.
        known: ids and the rows that the service has for them.
    """

    def __init__(self, field: str | None = None, known: Iterable[tuple[str, Row]] = ()) -> None:
        self._field = field
        self._ids = {_text(row): identifier for identifier, row in known}

    def body(self, row: Row) -> str:
        """The JSON that asks for a prediction of this row; a drifted row is nobody's any more."""
        text = _text(row)
        identifier = self._ids.get(text)
        return text if identifier is None else json.dumps({self._field: identifier})


def _text(row: Row) -> str:
    return json.dumps(row, allow_nan=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class TrafficSource:
    """Where rows come from.

    Attributes:
        schema: of the rows.
        statistics: of the reference rows.
        rows: a fresh stream of rows for a seed.
        requests: makes the bodies of requests.
    """

    schema: FeatureSchema
    statistics: Statistics
    rows: Callable[[int], RowSource]
    requests: Requests = field(default_factory=Requests)


def load_source(artefact: Path | None, use_case: str) -> TrafficSource:
    """The source of an artefact, or of the use case's generator where there is no artefact.

    Raises:
        DomainError: the artefact is broken, the use case unknown or without a generator.
    """
    if artefact is not None:
        model = load_artefact(artefact)
        reference = list(model.reference())
        rows = [row.features for row in reference]
        labels = [row.label for row in reference]
        statistics = reference_statistics(model.schema, rows, labels)
        requests = _requests(model)
        return TrafficSource(model.schema, statistics, lambda seed: sampler(model, seed), requests)

    case = get_use_case(use_case)
    generator = case.generator
    if generator is None:
        raise LoadError(
            f"the use case {use_case!r} has no generator; give the artefact of a trained model"
        )

    def draws(seed: int) -> Sampler:
        rng = random_stream(seed, "traffic")
        return Sampler(lambda n: list(zip(*generator.sample(rng, n), strict=True)))

    rows = [row for row, _ in draws(0).draw(_STATISTICS_ROWS)]
    return TrafficSource(case.schema, reference_statistics(case.schema, rows), draws)


def _requests(model: Artefact) -> Requests:
    key, table = model.schema.key, FeatureTable.of(model)
    if key is None or table is None:
        return Requests()
    with contextlib.closing(table):
        return Requests(key.field, table.rows())


def phase_rows(
    phase: LoadPhase, source: TrafficSource, seed: int, number: int
) -> Iterator[LabelledRow]:
    """The endless rows of one phase, drifted as it says; request k of the phase sends row k.

    Args:
        phase: what to send.
        source: where rows come from.
        seed: of the plan.
        number: index of the phase in the plan: equal phases send different rows.
    """
    own = random_stream(seed, f"phase {number}")
    drawn = source.rows(int(own.integers(2**62)))
    rng = np.random.default_rng(int(own.integers(2**62)))
    drifts_ = phase.drifting(seed)
    first: Row | None = None
    for begin in count(0, BLOCK):
        block = drawn.draw(BLOCK)
        if phase.drift is None:
            yield from block
            continue
        if first is None:
            first = drifts.first_values(row for row, _ in block)
        moved = _drifted(block, phase.drift, source, rng, first)
        yield from (
            moved[place] if drifts_(begin + place) else block[place] for place in range(BLOCK)
        )


def _drifted(
    block: list[LabelledRow],
    drift: PhaseDrift,
    source: TrafficSource,
    rng: np.random.Generator,
    first: Row,
) -> list[LabelledRow]:
    """The rows of a block with those drifted that shall drift; each keeps its place."""
    only = drift.only
    places = [place for place, (row, _) in enumerate(block) if only is None or only.holds(row)]
    if not places:
        return block
    rows, labels = zip(*(block[place] for place in places), strict=True)
    changed = drifts.apply(
        drift.name,
        rows,
        labels,
        severity=drift.severity,
        schema=source.schema,
        statistics=source.statistics,
        rng=rng,
        column=drift.column,
        first=first,
    )
    whole = list(block)
    for place, item in zip(places, zip(*changed, strict=True), strict=True):
        whole[place] = item
    return whole


def plan_rows(plan: LoadPlan, source: TrafficSource) -> tuple[Iterator[LabelledRow], ...]:
    """The rows of each phase, with the first ones drawn: nothing is set up under load.

    Raises:
        LoadError: a drift of the plan can't be used with the source.
    """
    for phase in plan.phases:
        if phase.drift is not None:
            drifts.get_drift(phase.drift.name, source.schema, phase.drift.column)
            _require_column(phase.drift.only, source.schema)
    return tuple(
        _primed(phase_rows(phase, source, plan.seed, number))
        for number, phase in enumerate(plan.phases)
    )


def _require_column(only: Only | None, schema: FeatureSchema) -> None:
    if only is not None and only.column not in {feature.name for feature in schema.features}:
        raise LoadError(f"there is no column {only.column!r} whose rows could drift")


def _primed(rows: Iterator[LabelledRow]) -> Iterator[LabelledRow]:
    return chain([next(rows)], rows)
