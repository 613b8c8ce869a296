"""Rows as DataFrames with declared types, so that nothing downstream guesses a column's kind."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from testbed_drift.rows.columns import PREDICTION, TARGET, ColumnKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema

# Sums of squares of larger values overflow, and scores become NaN.
LARGEST: Final = 1e100


def kinds_of(schema: FeatureSchema) -> dict[str, ColumnKind]:
    """Feature columns in the schema's order, with the kind of comparison that fits."""
    return {
        feature.name: "category" if feature.kind == "category" else "numeric"
        for feature in schema.features
    }


def outcome_of(schema: FeatureSchema) -> ColumnKind:
    """How predictions and labels of a model are compared."""
    return "numeric" if schema.regression else "category"


def is_numeric(column: pd.Series[Any]) -> bool:
    """Whether :func:`declare` made a column of numbers."""
    return pd.api.types.is_numeric_dtype(column)


def declare(
    frame: pd.DataFrame, kinds: Mapping[str, ColumnKind], outcome: ColumnKind = "category"
) -> pd.DataFrame:
    """The columns to compare with their declared types, rows numbered from 0.

    Args:
        frame: raw rows; columns beside the features, prediction and label are dropped.
        kinds: feature columns and kinds.
        outcome: kind of prediction and label.

    Returns:
        Numeric columns as float64, finite or NaN (infinities count as missing, like anything that
        is no number); the others as text or None. A column that ``frame`` lacks misses everywhere.
    """
    wanted = {**kinds, PREDICTION: outcome, TARGET: outcome}
    columns = {
        name: _numbers(_column(frame, name)) if kind == "numeric" else _texts(_column(frame, name))
        for name, kind in wanted.items()
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def tabulated(columns: Mapping[str, Sequence[Any]], rows: int) -> pd.DataFrame:
    """Columns as a log or a table holds them, as a frame."""
    arrays = {
        name: np.asarray(values) if isinstance(values, array) else values
        for name, values in columns.items()
    }
    return pd.DataFrame(arrays, index=range(rows))


def reference_frame(artefact: Artefact, kinds: Mapping[str, ColumnKind]) -> pd.DataFrame:
    """The artefact's reference rows, as they come out of a log in which they are registered."""
    rows = [
        {**row.features, PREDICTION: row.prediction, TARGET: row.label}
        for row in artefact.reference()
    ]
    return declare(pd.DataFrame(rows), kinds, outcome_of(artefact.schema))


def _column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    return frame[name] if name in frame else pd.Series(np.nan, index=frame.index)


def _numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.replace([math.inf, -math.inf], math.nan).clip(-LARGEST, LARGEST)


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
