"""Drifts of columns: shifted, scaled, blanked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from testbed_domain.features import Feature, Label, Row

from testbed_load.columns import (
    both_majorities,
    category_majority,
    first,
    majority,
    movable,
    nullable,
)
from testbed_load.drifts.base import DRIFTS, Context, Drift, Labelled
from testbed_load.statistics import CategoryStatistics, ColumnStatistics

MISSING_RATIO: Final = 0.3
MOVED_RATIO: Final = 0.3


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


def map_numbers(
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
    ratio = min(1.0, MOVED_RATIO * context.severity)
    changed = [dict(row) for row in rows]
    for feature in features:
        statistics = context.statistics.columns[feature.name]
        if isinstance(statistics, CategoryStatistics):
            moved = context.rng.random(len(rows)) < ratio
            for row, moves in zip(changed, moved.tolist(), strict=True):
                if moves and row[feature.name] is not None:
                    row[feature.name] = statistics.rarest
    return changed


def _shift(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    def move(feature: Feature, value: float) -> float:
        statistics = context.statistics.columns[feature.name]
        sigma = statistics.sigma if isinstance(statistics, ColumnStatistics) else 0.0
        return value + context.severity * sigma

    shifted = map_numbers(rows, context.features, context.rng, move)
    return _move_categories(shifted, context.features, context), list(labels)


def _scale(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    def move(_feature: Feature, value: float) -> float:
        return value * (1.0 + context.severity)

    return map_numbers(rows, context.features, context.rng, move), list(labels)


def _missing(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    features = context.features
    ratio = min(1.0, MISSING_RATIO * context.severity)
    gone = context.rng.random((len(rows), len(features))) < ratio
    changed = [
        {**row, **{f.name: None for f, missing in zip(features, holes, strict=True) if missing}}
        for row, holes in zip(rows, gone.tolist(), strict=True)
    ]
    return changed, list(labels)


DRIFTS.register(
    Drift(
        "covariate_shift",
        "Adds one standard deviation of the reference to the first three quarters of the "
        f"numeric columns, and turns {MOVED_RATIO:.0%} of the values of the first three "
        "quarters of the categories into their rarest one; the others stay as a control.",
        _shift,
        both_majorities,
    )
)
DRIFTS.register(
    Drift(
        "category_shift",
        f"Turns {MOVED_RATIO:.0%} of the values of the first three quarters of the categories "
        "into their rarest one; numbers stay.",
        _shift,
        category_majority,
    )
)
DRIFTS.register(
    Drift(
        "single_column",
        "Adds one standard deviation of the reference to the first numeric column only; where "
        f"there is none, turns {MOVED_RATIO:.0%} of the first category into its rarest value.",
        _shift,
        first,
        choices=movable,
    )
)
DRIFTS.register(
    Drift(
        "scale",
        "Doubles the first three quarters of the numeric columns, as a changed unit would.",
        _scale,
        majority,
    )
)
DRIFTS.register(
    Drift(
        "missing",
        f"Blanks {MISSING_RATIO:.0%} of the values of every column that may be missing.",
        _missing,
        nullable,
        choices=nullable,
    )
)
