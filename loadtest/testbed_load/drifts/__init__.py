"""Named drifts of the load: one call adds one, found by this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_load.drifts.base import DRIFTS, Context, Drift, Labelled
from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from testbed_domain.features import FeatureSchema, Label, Row

    from testbed_load.statistics import Statistics

__all__ = ["DRIFTS", "Context", "Drift", "Labelled", "apply", "first_values", "get_drift"]


def get_drift(name: str, schema: FeatureSchema | None = None, column: str | None = None) -> Drift:
    """The drift called ``name``.

    Args:
        name: key of :data:`DRIFTS`.
        schema: features that the drift must be able to change.
        column: the feature that it shall change, in place of its own.

    Raises:
        LoadError: the name is unknown, or the drift has nothing to change in ``schema``, or can't
            change the column.
    """
    try:
        drift = DRIFTS[name]
    except KeyError:
        raise LoadError(f"unknown drift {name!r}; choose one of: {', '.join(DRIFTS)}") from None
    if schema is None:
        return drift
    if not drift.features(schema, column) and not drift.of_labels:
        raise LoadError(f"the drift {name!r} finds no column to change in this use case")
    return drift


def apply(  # noqa: PLR0913 - what a drift knows, by name
    name: str,
    rows: Sequence[Row],
    labels: Sequence[Label],
    *,
    severity: float,
    schema: FeatureSchema,
    statistics: Statistics,
    rng: np.random.Generator,
    column: str | None = None,
    first: Row | None = None,
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
        column: the feature that it shall change, in place of its own.
        first: of each feature the first known value of the phase; by default of these rows.

    Raises:
        LoadError: as :func:`get_drift`.
    """
    drift = get_drift(name, schema, column)
    if severity == 0:
        return [dict(row) for row in rows], list(labels)
    features = drift.features(schema, column)
    first = first_values(rows) if first is None else first
    return drift.change(rows, labels, Context(severity, schema, statistics, rng, features, first))


def first_values(rows: Iterable[Row]) -> Row:
    """Of each feature the first value that is not missing."""
    found: Row = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                found.setdefault(name, value)
    return found
