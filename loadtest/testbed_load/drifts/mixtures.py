"""Drifts of what goes together: labels, populations, concepts, relations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from testbed_domain.features import Label, Row

from testbed_load.columns import (
    all_features,
    first_number,
    no_features,
    together,
)
from testbed_load.drifts.base import DRIFTS, Context, Drift, Labelled
from testbed_load.statistics import ColumnStatistics

RELABELLED_RATIO: Final = 0.5
DEALT_RATIO: Final = 0.5


def _label_shift(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    strata = context.statistics.strata
    donor = [strata.place(label) == strata.wanted for label in labels]
    return _replace(rows, labels, donor, RELABELLED_RATIO * context.severity, context.rng)


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
    ratio: float,
    rng: np.random.Generator,
) -> Labelled:
    """A share of the other rows replaced by donors, with their labels; without a donor, none."""
    donors = np.flatnonzero(donor)
    if not len(donors):
        return [dict(row) for row in rows], list(labels)
    replaced = rng.random(len(rows)) < min(1.0, ratio)
    picks = rng.choice(donors, size=len(rows))
    chosen = [
        int(pick) if swap and not donor[index] else index
        for index, (swap, pick) in enumerate(zip(replaced, picks, strict=True))
    ]
    return [dict(rows[index]) for index in chosen], [labels[index] for index in chosen]


def _deal_labels(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    chosen = _chosen(len(rows), DEALT_RATIO * context.severity, context.rng)
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


def _chosen(count: int, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """The places, ascending, of a share of so many rows; a share of 1 or more is all."""
    return np.flatnonzero(rng.random(count) < ratio)


DRIFTS.register(
    Drift(
        "label_shift",
        f"Replaces {RELABELLED_RATIO:.0%} of the other rows by rows of the positive class (of "
        "the last class where there is no positive one; where labels are numbers, of the "
        "reference's top quarter).",
        _label_shift,
        all_features,
    )
)
DRIFTS.register(
    Drift(
        "population_shift",
        "Replaces every row by one whose first numeric column lies above the reference's "
        "median (at it, where that is the largest value), unless its own does; labels stay "
        "those of their rows, so inputs and labels go together as before. Less severe, it does "
        "so to a share of these rows.",
        _population_shift,
        first_number,
    )
)
DRIFTS.register(
    Drift(
        "concept_drift",
        f"Deals the labels of {DEALT_RATIO:.0%} of the rows out anew among these rows: the "
        "same inputs come with other labels. Inputs stay, and so does the rate of every label.",
        _deal_labels,
        no_features,
        of_labels=True,
    )
)
DRIFTS.register(
    Drift(
        "correlation_drift",
        "Deals the values of every column out anew among the rows of the same label: columns "
        "go together only as far as the label (of numbers, the quarter) makes them. Every "
        "column alone stays as it was, at every label, and so do labels. Less severe, it does "
        "so to a share of the rows.",
        _take_apart,
        together,
    )
)
