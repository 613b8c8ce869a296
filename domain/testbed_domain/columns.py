"""Encoded rows as the columns that a person knows: the way back from the encoding.

A model of one's own was often trained on the columns of a table, not on our encoding of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.encoding import encode

if TYPE_CHECKING:
    from testbed_domain.features import Feature, FeatureSchema, Value

OTHER: Final = "other"
"""Text of a category that the schema doesn't know, whatever it was in the request."""


def columns(schema: FeatureSchema, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Feature name to its values, ``[n]`` each, in the schema's order.

    Integers are int64, and float64 where one is missing (NaN); numbers are float64; categories are
    text, None where missing and :data:`OTHER` where the schema doesn't know the value. Numbers have
    the precision of float32.

    Args:
        schema: of the rows.
        batch: encoded rows, float32 ``[n, width]``.
    """
    found: dict[str, np.ndarray] = {}
    place = 0
    for feature in schema.features:
        if feature.kind == "category":
            size = len(feature.categories) + feature.nullable
            found[feature.name] = _texts(feature, batch[:, place : place + size])
            place += size
            continue
        values = batch[:, place].astype(np.float64)
        place += 1
        if feature.fill is not None:
            values[batch[:, place] > 0] = np.nan
            place += 1
        whole = feature.kind == "integer" and not np.isnan(values).any()
        found[feature.name] = values.astype(np.int64) if whole else values
    return found


def _texts(feature: Feature, known: np.ndarray) -> np.ndarray:
    values = np.array([*feature.categories, *([None] if feature.nullable else []), OTHER], object)
    if not known.shape[1]:
        return np.full(len(known), OTHER, object)
    places = np.where(known.any(axis=1), known.argmax(axis=1), len(values) - 1)
    return np.asarray(values[places])


def example_batch(schema: FeatureSchema, rows: int) -> np.ndarray:
    """Plausible rows, all alike, encoded as float32 ``[rows, width]``: to try a model with."""
    row = {feature.name: _example(feature) for feature in schema.features}
    return encode(schema, [row] * rows)


def _example(feature: Feature) -> Value:
    if feature.example is not None:
        return feature.example
    if feature.kind == "category":
        return feature.categories[0] if feature.categories else OTHER
    return feature.fill or feature.minimum or 0
