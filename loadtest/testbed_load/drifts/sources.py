"""Drifts of one source of data: another unit, a sensor that is stuck, a value nobody knew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_load.columns import (
    all_features,
    first_of_all,
    first_open_category,
    measured,
    numeric,
    open_categories,
)
from testbed_load.drifts.base import DRIFTS, Context, Drift, Labelled
from testbed_load.drifts.inputs import map_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.features import Feature, Label, Row

POUNDS: Final = 2.20462
"""Pounds in a kilogram."""
NEW: Final = "never seen before"
NEW_RATIO: Final = 0.3


def _swap_unit(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    def move(_feature: Feature, value: float) -> float:
        return value * POUNDS

    swapped = map_numbers(rows, context.features, context.rng, move)
    return _some(rows, swapped, context, context.severity), list(labels)


def _stick(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    names = {feature.name for feature in context.features}
    last = {name: value for name, value in context.first.items() if name in names}
    stuck: list[Row] = [{**row, **last} for row in rows]
    return _some(rows, stuck, context, context.severity), list(labels)


def _renew(rows: Sequence[Row], labels: Sequence[Label], context: Context) -> Labelled:
    new: Row = dict.fromkeys((feature.name for feature in context.features), NEW)
    renewed = [{**row, **new} for row in rows]
    return _some(rows, renewed, context, NEW_RATIO * context.severity), list(labels)


def _some(rows: Sequence[Row], changed: Sequence[Row], context: Context, ratio: float) -> list[Row]:
    """The changed row in place of a share of the rows, a copy of the others."""
    chosen = (context.rng.random(len(rows)) < ratio).tolist()
    return [
        dict(new if pick else row) for row, new, pick in zip(rows, changed, chosen, strict=True)
    ]


DRIFTS.register(
    Drift(
        "swapped_unit",
        f"Multiplies one numeric column by {POUNDS:g}, as pounds in place of kilograms do: the "
        "first that is no count, or the named one. Less severe, in a share of the rows.",
        _swap_unit,
        measured,
        choices=numeric,
    )
)
DRIFTS.register(
    Drift(
        "stuck_sensor",
        "Holds one column at the first value that it had in the phase: the first numeric column "
        "that is no count, or the named one. Less severe, in a share of the rows.",
        _stick,
        first_of_all,
        choices=all_features,
    )
)
DRIFTS.register(
    Drift(
        "new_category",
        f"Turns {NEW_RATIO:.0%} of the values of one category into one that no row had before: of "
        "the first category that takes unknown values, or of the named one.",
        _renew,
        first_open_category,
        choices=open_categories,
    )
)
