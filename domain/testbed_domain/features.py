"""Feature schemas: what a row looks like, free of pandas and of any web framework."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

FeatureKind = Literal["integer", "number", "category"]
Value = float | int | str | None
Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column.

    Attributes:
        name: column name, as in the data and in requests.
        kind: ``integer`` and ``number`` are numeric, ``category`` is text.
        description: one line for the API page.
        minimum: smallest value that a request may carry, or None.
        maximum: largest value that a request may carry, or None.
        categories: allowed values of a category.
        nullable: whether the value may be missing.
        example: a plausible value.
    """

    name: str
    kind: FeatureKind
    description: str
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    nullable: bool = False
    example: Value = None


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """Inputs and output of a use case.

    Attributes:
        features: input columns, in the order that the model takes them.
        target: name of the label column.
        classes: class labels in the model's order, as ints or strings (what a reply carries).
        positive_class: the class that binary metrics speak of, or None for several classes.
    """

    features: tuple[Feature, ...]
    target: str
    classes: tuple[int | str, ...]
    positive_class: int | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in model order."""
        return tuple(feature.name for feature in self.features)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        features = tuple(
            Feature(**{**item, "categories": tuple(item.get("categories", ()))})
            for item in data["features"]
        )
        return cls(features, data["target"], tuple(data["classes"]), data.get("positive_class"))
