"""Each row that was sent against the row that was drawn for it, before any drift.

The rows of a phase are drawn again, by the sampling rule alone, so that a drift is seen row by row:
what it must leave alone is equal, what it moves is moved by what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from testbed_domain.sampling import random_stream, sampler

from testbed.facts.bounds import BoundedSample, mean_bound, ratio_bound
from testbed.facts.deviations import Quantity
from testbed.facts.expectation import BLOCK
from testbed.facts.tables import MISSING, is_category

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.artefact import Artefact, LabelledRow
    from testbed_domain.features import Feature

    from testbed.facts.expectation import SeriesExpectation
    from testbed.facts.tables import LogTable

MOVED: Final = "share of the values that became the rarest one"
BLANKED: Final = "share of the values that went missing"
PARTLY: Final = "share of the values that were moved"
UP: Final = "share of the values that were rounded up"
REPLACED: Final = "share of the other rows that were replaced"
DEALT: Final = "share of the rows with another label than was drawn"
APART: Final = "share of the rows whose columns come from several rows"
LABELS: Final = "labels"
DEALT_INFLATION: Final = 1.2


def drawn_rows(artefact: Artefact, seed: int, number: int, count: int) -> list[LabelledRow]:
    """The first rows of a phase, undrifted.

    Args:
        artefact: whose sampling rule is used.
        seed: of the traffic.
        number: of the phase, from 0.
        count: how many rows.

    Raises:
        DomainError: the artefact has nothing to draw from.
    """
    own = random_stream(seed, f"phase {number}")
    return sampler(artefact, int(own.integers(2**62))).draw(count)


@dataclass
class Pairs:
    """What the comparison found.

    Attributes:
        wrong: column, or ``labels``, to the places of the rows that no drift of the phase explains.
        quantities: how often the drift took hold.
    """

    wrong: dict[str, np.ndarray] = field(default_factory=dict)
    quantities: list[Quantity] = field(default_factory=list)


def compare(
    sent: LogTable,
    drawn: LogTable,
    places: np.ndarray,
    expected: SeriesExpectation,
    exponent: float,
    among: np.ndarray,
) -> Pairs:
    """Hold sent rows against drawn ones.

    Args:
        sent: the rows that were sent.
        drawn: all rows of the phase up to the end of the last row's block.
        places: index of each sent row among the drawn ones.
        expected: what the drift does.
        exponent: of the bounds.
        among: which drawn rows the drift deals with: what it deals out comes from them.
    """
    effect = expected.effect
    if effect.replaced:
        return _replaced(sent, drawn, places, expected, exponent, among)
    base = drawn.take(places)
    pairs = Pairs()
    if effect.apart:
        _apart(sent, drawn, places, pairs, expected, exponent, among)
    else:
        for feature in expected.reference.schema.features:
            _column(feature, sent, base, pairs, expected, exponent)
    other = sent.other_labels(base)
    if effect.dealt:
        _dealt(sent, base, places, pairs, expected, exponent)
    elif other.any():
        pairs.wrong[LABELS] = np.flatnonzero(other)
    return pairs


def _column(
    feature: Feature,
    sent: LogTable,
    base: LogTable,
    pairs: Pairs,
    expected: SeriesExpectation,
    exponent: float,
) -> None:
    name, effect = feature.name, expected.effect
    own, drawn = sent.columns[name], base.columns[name]
    if not is_category(feature):
        _numbers(feature, own, drawn, pairs, expected, exponent)
        return
    if (moved_to := expected.goal(feature)) is not None:
        changed = own != drawn
        _record_wrong(pairs, name, changed & (own != moved_to))
        could = drawn != moved_to
        _record_ratio(pairs, (name, PARTLY), changed[could], effect.part, exponent)
        return
    if name in effect.rarest:
        goal, ratio, what = expected.reference.rarest[name], effect.to_rarest, MOVED
    else:
        goal, ratio, what = MISSING, effect.blank if name in effect.blanked else 0.0, BLANKED
    changed = own != drawn
    _record_wrong(pairs, name, changed & ((own != goal) | (drawn == MISSING)) if ratio else changed)
    could = (drawn != goal) & (drawn != MISSING)
    if ratio:
        _record_ratio(pairs, (name, what), changed[could], ratio, exponent)


def _numbers(
    feature: Feature,
    own: np.ndarray,
    drawn: np.ndarray,
    pairs: Pairs,
    expected: SeriesExpectation,
    exponent: float,
) -> None:
    name, effect = feature.name, expected.effect
    moved = expected.moved_numbers(feature, drawn)
    low, high = (drawn, drawn) if moved is None else moved[:2]
    fits = _equal(own, low) | _equal(own, high)
    part = expected.part(feature)
    if part < 1.0:
        stays = _equal(own, drawn)
        could = ~(_equal(low, drawn) | _equal(high, drawn))
        _record_ratio(pairs, (name, PARTLY), ~stays[could], part, exponent)
        fits |= stays
    blank = effect.blank if name in effect.blanked else 0.0
    known = ~np.isnan(drawn)
    gone = np.isnan(own) & known
    _record_wrong(pairs, name, ~fits & ~gone if blank else ~fits)
    if blank:
        _record_ratio(pairs, (name, BLANKED), gone[known], blank, exponent)
    if moved is not None:
        open_ = known & (low != high) & (_equal(own, low) | _equal(own, high))
        up = moved[2][open_]
        _record_ratio(
            pairs,
            (name, UP),
            own[open_] == high[open_],
            float(up.mean()) if len(up) else 0,
            exponent,
        )


def _record_wrong(pairs: Pairs, name: str, wrong: np.ndarray) -> None:
    if wrong.any():
        pairs.wrong[name] = np.flatnonzero(wrong)


def _record_ratio(
    pairs: Pairs, about: tuple[str, str], happened: np.ndarray, ratio: float, exponent: float
) -> None:
    """Keep how often something happened that should with some chance; nothing could: nothing."""
    if len(happened):
        bound = ratio_bound(ratio, BoundedSample(len(happened), None), exponent)
        pairs.quantities.append(Quantity(*about, ratio, float(happened.mean()), bound))


def _dealt(
    sent: LogTable,
    base: LogTable,
    places: np.ndarray,
    pairs: Pairs,
    expected: SeriesExpectation,
    exponent: float,
) -> None:
    """Labels dealt out anew within each block: the same labels there, at other rows."""
    wrong = [
        rows
        for rows in _whole_blocks(places)
        if (np.sort(_exact(sent)[rows]) != np.sort(_exact(base)[rows])).any()
    ]
    if wrong:
        pairs.wrong[LABELS] = np.concatenate(wrong)
    _, counts = np.unique(_exact(base), return_counts=True)
    ratio = expected.effect.dealt * float(1 - ((counts / max(1, len(base))) ** 2).sum())
    found = float(np.mean(sent.other_labels(base)))
    # Labels change in pairs, and how many are dealt is chance: a little more than independent rows.
    bound = ratio_bound(ratio, BoundedSample(len(sent), None, DEALT_INFLATION), exponent)
    pairs.quantities.append(Quantity(LABELS, DEALT, ratio, found, bound))


def _apart(
    sent: LogTable,
    whole: LogTable,
    places: np.ndarray,
    pairs: Pairs,
    expected: SeriesExpectation,
    exponent: float,
    among: np.ndarray,
) -> None:
    """Columns dealt out anew within block and label: each column has the same values there."""
    apart, base = expected.effect.apart, whole.take(places)
    dealt = np.flatnonzero(among)
    chances = np.ones(len(whole))
    for name, drawn in base.columns.items():
        own = sent.columns[name]
        wrong = []
        for block in _blocks(dealt):
            rows = dealt[block]
            for label in np.unique(whole.labels[rows]).tolist():
                here = rows[whole.labels[rows] == label]
                chances[here] *= _own_value(whole.columns[name][here], apart)
        for rows in _whole_blocks(places):
            for label in np.unique(base.labels[rows]).tolist():
                here = rows[base.labels[rows] == label]
                if not np.array_equal(np.sort(own[here]), np.sort(drawn[here]), equal_nan=True):
                    wrong.append(here)
        if wrong:
            pairs.wrong[name] = np.concatenate(wrong)
    changed = np.zeros(len(base), bool)
    for name, drawn in base.columns.items():
        changed |= ~_equal(sent.columns[name], drawn)
    ratio = apart * float(1 - chances[places].mean())
    # The last part of the bound is for what so small groups of rows make of the chance.
    bound = (
        mean_bound(ratio * (1 - ratio) + 0.05, 1.0, BoundedSample(len(sent), None), exponent) + 0.01
    )
    pairs.quantities.append(Quantity("rows", APART, ratio, float(changed.mean()), bound))


def _replaced(
    sent: LogTable,
    drawn: LogTable,
    places: np.ndarray,
    expected: SeriesExpectation,
    exponent: float,
    among: np.ndarray,
) -> Pairs:
    """Rows replaced by certain others of the same block."""
    pairs = Pairs()
    own, base = list(_rows(sent)), list(_rows(drawn))
    donor = expected.reference.donors(expected.effect, drawn)
    wrong, could, swapped = [], 0, 0
    for start in range(0, len(base), BLOCK):
        block = slice(start, start + BLOCK)
        gives = (donor[block] & among[block]).tolist()
        donors = {row for row, given in zip(base[block], gives, strict=True) if given}
        here = np.flatnonzero((places >= start) & (places < start + BLOCK)).tolist()
        for row in here:
            before = base[places[row]]
            may = not donor[places[row]] and bool(donors)
            could += may
            if own[row] == before:
                continue
            if may and own[row] in donors:
                swapped += 1
            else:
                wrong.append(row)
    if wrong:
        pairs.wrong["rows"] = np.array(wrong)
    if could:
        ratio = expected.effect.replaced
        bound = ratio_bound(ratio, BoundedSample(could, None), exponent)
        pairs.quantities.append(Quantity("rows", REPLACED, ratio, swapped / could, bound))
    return pairs


def _rows(table: LogTable) -> Iterator[tuple[float, ...]]:
    """Rows as tuples, the label last; -inf where a value is missing, as NaN equals nothing."""
    columns = [
        np.where(np.isnan(values), -np.inf, values).tolist()
        for values in (column.astype(float) for column in table.columns.values())
    ]
    return zip(*columns, _exact(table).tolist(), strict=True)


def _own_value(values: np.ndarray, ratio: float) -> np.ndarray:
    """Chance of each row to be dealt its own value, when a share of the rows is dealt."""
    _, back, counts = np.unique(values, return_inverse=True, return_counts=True)
    own = 1 + (counts[back.ravel()] - 1) * ratio
    return np.asarray(own / (1 + (len(values) - 1) * ratio))


def _blocks(places: np.ndarray) -> Iterator[np.ndarray]:
    """The sent rows, block by block."""
    blocks = places // BLOCK
    for block in np.unique(blocks).tolist():
        yield np.flatnonzero(blocks == block)


def _whole_blocks(places: np.ndarray) -> Iterator[np.ndarray]:
    """The blocks of which every row was sent."""
    return (rows for rows in _blocks(places) if len(rows) == BLOCK)


def _exact(table: LogTable) -> np.ndarray:
    """The labels themselves, of classes their places."""
    return table.numbers if len(table.numbers) else table.labels


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(np.isclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True))
