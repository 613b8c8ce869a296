"""Which columns of a feature schema a drift changes; pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed_domain.features import Feature, FeatureSchema


def numeric(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The numeric features, in the schema's order."""
    return tuple(feature for feature in schema.features if feature.kind != "category")


def majority(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first three quarters, rounded up, of the numeric features: the others are a control."""
    return _three_quarters(numeric(schema))


def categorical(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The categories that have another value to move to, in the schema's order."""
    return tuple(feature for feature in schema.features if len(feature.categories) > 1)


def category_majority(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first three quarters, rounded up, of :func:`categorical`: the others are a control."""
    return _three_quarters(categorical(schema))


def both_majorities(schema: FeatureSchema) -> tuple[Feature, ...]:
    """Three quarters of the numeric features and three quarters of the categories."""
    return (*majority(schema), *category_majority(schema))


def _three_quarters(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    return features[: math.ceil(0.75 * len(features))]


def first(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first numeric feature, or the first category where there is none."""
    return numeric(schema)[:1] or categorical(schema)[:1]


def first_number(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first numeric feature; none where there is none."""
    return numeric(schema)[:1]


def movable(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The numeric features, and the categories that have another value to move to."""
    return (*numeric(schema), *categorical(schema))


def measured(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first numeric feature that is no count, or the first one where all are."""
    found = [feature for feature in numeric(schema) if feature.kind == "number"]
    return tuple(found[:1]) or first_number(schema)


def first_of_all(schema: FeatureSchema) -> tuple[Feature, ...]:
    """As :func:`measured`, or the first feature where none is numeric."""
    return measured(schema) or schema.features[:1]


def open_categories(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The categories that take other texts than the known ones."""
    return tuple(
        feature
        for feature in schema.features
        if feature.kind == "category" and (feature.other or not feature.categories)
    )


def first_open_category(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The first of :func:`open_categories`; none where there is none."""
    return open_categories(schema)[:1]


def nullable(schema: FeatureSchema) -> tuple[Feature, ...]:
    """The features that may be missing."""
    return tuple(feature for feature in schema.features if feature.nullable)


def all_features(schema: FeatureSchema) -> tuple[Feature, ...]:
    """Every feature."""
    return schema.features


def together(schema: FeatureSchema) -> tuple[Feature, ...]:
    """Every feature where there are several: one alone goes together with nothing."""
    return schema.features if len(schema.features) > 1 else ()


def no_features(_schema: FeatureSchema) -> tuple[Feature, ...]:
    """None."""
    return ()
