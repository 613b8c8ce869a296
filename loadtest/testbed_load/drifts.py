"""Named drifts: transformations of sampled rows with a severity; numpy only, no I/O.

Severity 0 changes nothing, 1 is the stated size, more is more. A drift never makes a row that
the feature schema refuses: numbers are clipped to the schema's bounds, integers stay integers,
categories stay among the known ones, values go missing only where they may. The label that belongs
to a row stays the one that the generator or the data set gave it, except under a drift of labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from testbed_domain.features import Feature, FeatureSchema, Label, Row

from testbed_load.columns import (
    all_features,
    both_majorities,
    category_majority,
    first,
    first_number,
    majority,
    no_features,
    nullable,
    together,
)
from testbed_load.errors import LoadError
from testbed_load.statistics import CategoryStatistics, ColumnStatistics, Statistics

Labelled: TypeAlias = tuple[list[Row], list[Label]]

MISSING_SHARE: Final = 0.3
MOVED_SHARE: Final = 0.3
RELABELLED_SHARE: Final = 0.5
DEALT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Context:
    """What a drift may look at besides the rows."""

    severity: float
    schema: FeatureSchema
    statistics: Statistics
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Drift:
    """One named drift.

    Attributes:
        name: as in scenarios and plans.
        description: what severity 1 does, for people.
        change: the transformation of rows and labels.
        columns: the features that it changes; none means that it can't be used with a schema.
        of_labels: whether it changes labels and no feature, so that it needs none.
    """

    name: str
    description: str
    change: Callable[[Sequence[Row], Sequence[Label], Context], Labelled]
    columns: Callable[[FeatureSchema], tuple[Feature, ...]]
    of_labels: bool = False


def _fit(feature: Feature, value: float, rng: np.random.Generator) -> float | int:
    """``value`` within the feature's bounds and of its kind.

    An integer is rounded up or down at random, so that a shift of less than one half still moves
    the mean of the column by what it should.
    """
    if feature.kind == "integer":
        value = math.floor(value + rng.random())
    if feature.minimum is not None:
        value = max(value, feature.minimum)
    if feature.maximum is not None:
        value = min(value, feature.maximum)
    return int(value) if feature.kind == "integer" else float(value)


def _map_numbers(
    rows: Sequence[Row],
    features: Sequence[Feature],
    rng: np.random.Generator,
    move: Callable[[Feature, float], float],
) -> list[Row]:
    """Copies of the rows in which ``move`` has changed the numbers of ``features``."""
    changed = [dict(row) for row in rows]
    for feature in features:
        for row in changed:
            value = row[feature.name]
            if isinstance(value, int | float):
                row[feature.name] = _fit(feature, move(feature, value), rng)
    return changed


def _move_categories(
    rows: Sequence[Row], features: Sequence[Feature], context: Context
) -> list[Row]:
    """Copies of the rows in which some values of ``features`` are the rarest one."""
    share = min(1.0, MOVED_SHARE * context.severity)
    changed = [dict(row) for row in rows]
    for feature in features:
        statistics = context.statistics.columns[feature.name]
        if isinstance(statistics, CategoryStatistics):
            moved = context.rng.random(len(rows)) < share
            for row, moves in zip(changed, moved.tolist(), strict=True):
                if moves and row[feature.name] is not None:
                    row[feature.name] = statistics.rarest
    return changed


def _shift(features: Callable[[FeatureSchema], tuple[Feature, ...]]) -> Callable[..., Labelled]:
    def change(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
        def move(feature: Feature, value: float) -> float:
            statistics = context.statistics.columns[feature.name]
            sigma = statistics.sigma if isinstance(statistics, ColumnStatistics) else 0.0
            return value + context.severity * sigma

        chosen = features(context.schema)
        shifted = _map_numbers(rows, chosen, context.rng, move)
        return _move_categories(shifted, chosen, context), list(labels)

    return change


def _scale(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    def move(_feature: Feature, value: float) -> float:
        return value * (1.0 + context.severity)

    return _map_numbers(rows, majority(context.schema), context.rng, move), list(labels)


def _missing(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    features = nullable(context.schema)
    share = min(1.0, MISSING_SHARE * context.severity)
    gone = context.rng.random((len(rows), len(features))) < share
    changed = [
        {**row, **{f.name: None for f, missing in zip(features, holes, strict=True) if missing}}
        for row, holes in zip(rows, gone.tolist(), strict=True)
    ]
    return changed, list(labels)


def _label_shift(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    strata = context.statistics.strata
    donor = [strata.place(label) == strata.wanted for label in labels]
    return _replace(rows, labels, donor, RELABELLED_SHARE * context.severity, context.rng)


def _population_shift(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    (feature,) = first_number(context.schema)
    statistics = context.statistics.columns[feature.name]
    upper = statistics.upper if isinstance(statistics, ColumnStatistics) else math.inf
    values = [row[feature.name] for row in rows]
    donor = [isinstance(value, int | float) and value >= upper for value in values]
    return _replace(rows, labels, donor, context.severity, context.rng)


def _replace(
    rows: Sequence[Row],
    labels: Sequence[Label],
    donor: Sequence[bool],
    share: float,
    rng: np.random.Generator,
) -> Labelled:
    """A share of the other rows replaced by donors, with their labels; without a donor, none."""
    donors = np.flatnonzero(donor)
    if not len(donors):
        return [dict(row) for row in rows], list(labels)
    replaced = rng.random(len(rows)) < min(1.0, share)
    picks = rng.choice(donors, size=len(rows))
    chosen = [
        int(pick) if swap and not donor[index] else index
        for index, (swap, pick) in enumerate(zip(replaced, picks, strict=True))
    ]
    return [dict(rows[index]) for index in chosen], [labels[index] for index in chosen]


def _deal_labels(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    chosen = _chosen(len(rows), DEALT_SHARE * context.severity, context.rng)
    dealt = list(labels)
    for place, giver in zip(chosen, context.rng.permutation(chosen), strict=True):
        dealt[place] = labels[giver]
    return [dict(row) for row in rows], dealt


def _take_apart(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    # Within a label: its rate at any value of any one column stays, so labels and columns alone
    # say nothing.
    changed = [dict(row) for row in rows]
    chosen = _chosen(len(rows), context.severity, context.rng)
    strata = [context.statistics.strata.place(label) for label in labels]
    for stratum in sorted(set(strata)):
        places = [place for place in chosen.tolist() if strata[place] == stratum]
        for feature in context.schema.features:
            for place, giver in zip(places, context.rng.permutation(places), strict=True):
                changed[place][feature.name] = rows[giver][feature.name]
    return changed, list(labels)


def _chosen(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """The places, ascending, of a share of so many rows; a share of 1 or more is all."""
    return np.flatnonzero(rng.random(count) < share)


DRIFTS: Final[Mapping[str, Drift]] = {
    drift.name: drift
    for drift in (
        Drift(
            "covariate_shift",
            "Adds one standard deviation of the reference to the first three quarters of the "
            f"numeric columns, and turns {MOVED_SHARE:.0%} of the values of the first three "
            "quarters of the categories into their rarest one; the others stay as a control.",
            _shift(both_majorities),
            both_majorities,
        ),
        Drift(
            "category_shift",
            f"Turns {MOVED_SHARE:.0%} of the values of the first three quarters of the categories "
            "into their rarest one; numbers stay.",
            _shift(category_majority),
            category_majority,
        ),
        Drift(
            "single_column",
            "Adds one standard deviation of the reference to the first numeric column only; where "
            f"there is none, turns {MOVED_SHARE:.0%} of the first category into its rarest value.",
            _shift(first),
            first,
        ),
        Drift(
            "scale",
            "Doubles the first three quarters of the numeric columns, as a changed unit would.",
            _scale,
            majority,
        ),
        Drift(
            "missing",
            f"Blanks {MISSING_SHARE:.0%} of the values of every column that may be missing.",
            _missing,
            nullable,
        ),
        Drift(
            "label_shift",
            f"Replaces {RELABELLED_SHARE:.0%} of the other rows by rows of the positive class (of "
            "the last class where there is no positive one; where labels are numbers, of the "
            "reference's top quarter).",
            _label_shift,
            all_features,
        ),
        Drift(
            "population_shift",
            "Replaces every row by one whose first numeric column lies above the reference's "
            "median (at it, where that is the largest value), unless its own does; labels stay "
            "those of their rows, so inputs and labels go together as before. Less severe, it does "
            "so to a share of these rows.",
            _population_shift,
            first_number,
        ),
        Drift(
            "concept_drift",
            f"Deals the labels of {DEALT_SHARE:.0%} of the rows out anew among these rows: the "
            "same inputs come with other labels. Inputs stay, and so does the rate of every label.",
            _deal_labels,
            no_features,
            of_labels=True,
        ),
        Drift(
            "correlation_drift",
            "Deals the values of every column out anew among the rows of the same label: columns "
            "go together only as far as the label (of numbers, the quarter) makes them. Every "
            "column alone stays as it was, at every label, and so do labels. Less severe, it does "
            "so to a share of the rows.",
            _take_apart,
            together,
        ),
    )
}


def get_drift(name: str, schema: FeatureSchema | None = None) -> Drift:
    """The drift called ``name``.

    Args:
        name: key of :data:`DRIFTS`.
        schema: features that the drift must be able to change.

    Raises:
        LoadError: the name is unknown, or the drift has nothing to change in ``schema``.
    """
    try:
        drift = DRIFTS[name]
    except KeyError:
        raise LoadError(f"unknown drift {name!r}; choose one of: {', '.join(DRIFTS)}") from None
    if schema is not None and not drift.of_labels and not drift.columns(schema):
        raise LoadError(f"the drift {name!r} finds no column to change in this use case")
    return drift


def apply(
    name: str,
    rows: Sequence[Row],
    labels: Sequence[Label],
    *,
    severity: float,
    schema: FeatureSchema,
    statistics: Statistics,
    rng: np.random.Generator,
) -> Labelled:
    """Drifted copies of rows and labels; the arguments stay as they are.

    Args:
        name: key of :data:`DRIFTS`.
        rows: sampled rows.
        labels: their true labels, of equal length.
        severity: 0 is the identity, 1 the stated size.
        schema: of the rows.
        statistics: of the reference rows and their labels.
        rng: source of all randomness.

    Raises:
        LoadError: as :func:`get_drift`.
    """
    drift = get_drift(name, schema)
    if severity == 0:
        return [dict(row) for row in rows], list(labels)
    return drift.change(rows, labels, Context(severity, schema, statistics, rng))
