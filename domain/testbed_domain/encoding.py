"""Between rows and the model's tensors, alike in training and in serving; free of pandas.

The ONNX graph has one input, :data:`INPUT`: float32 ``[n, width]``. A classifier has two outputs,
:data:`OUTPUTS`: the class index, int64 ``[n]``, and the probability of each class, float32
``[n, classes]``. A regression has one, of any name: the predicted number, float32 ``[n, 1]``.

All that the encoding needs stands in the schema, so the artefact carries it. In the schema's
order, each feature gives these columns (:func:`column_names`):

- a number: its value; where it may be missing, the training median in its place and a second
  column that is 1 where it is missing, else 0;
- a category: one column per known value, 1 for the row's own, and one more for "missing" where it
  may be missing. Another text than the known ones, where the schema allows it, is 0 in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import Feature, FeatureSchema, Label, Value

INPUT: Final = "features"
OUTPUTS: Final = ("label", "probabilities")
CLOSE: Final = 0.01
"""Ratio of the larger of two predicted numbers by which they may differ and agree all the same."""


# Not frozen: that takes twice as long to make.
@dataclass(slots=True)
class Scored:
    """The model's answer for one row.

    Attributes:
        prediction: the most probable class (the first of equals), or the predicted number.
        index: place of that class among the schema's; 0 of a number.
        probability: the class's probability, 0 to 1; None of a number.
        probabilities: class, as text, to probability; empty of a number.
    """

    prediction: Label
    index: int = 0
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The prediction as the log has it; of a number, the shortest text that reads as equal."""
        return str(self.prediction)

    def agrees(self, other: Scored) -> bool:
        """Whether both predict the same class, or numbers that differ by :data:`CLOSE` at most."""
        mine, theirs = self.prediction, other.prediction
        if isinstance(mine, float) and isinstance(theirs, float):
            return math.isclose(mine, theirs, rel_tol=CLOSE)
        return mine == theirs


@dataclass(frozen=True, slots=True)
class _Categories:
    """The model's columns of one category: by known value, and of any other (None: refused)."""

    known: dict[Value, tuple[float, ...]]
    other: tuple[float, ...] | None


class Encoder:
    """Encodes rows of one schema; made once, used for every row.

    Args:
        schema: of the rows, with the ``fill`` that training found.
    """

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema
        self.width = len(column_names(schema))
        self._names = schema.names
        self._plain = not any(map(_is_wide, schema.features))
        self._tables = [_table(feature) for feature in schema.features]

    def __call__(self, rows: Sequence[Mapping[str, Value]]) -> np.ndarray:
        """See :func:`encode`."""
        names = self._names
        try:
            if self._plain:
                values = [[row[name] for name in names] for row in rows]
            else:
                values = [self._wide(row) for row in rows]
            return np.array(values, np.float32).reshape(len(rows), self.width)
        except KeyError as error:
            raise DomainError(f"a row lacks the feature {error.args[0]!r}") from None
        except (ValueError, TypeError):
            raise self._refusal(rows) from None

    def _wide(self, row: Mapping[str, Value]) -> list[Value]:
        values: list[Value] = []
        for name, table in zip(self._names, self._tables, strict=True):
            value = row[name]
            if table is None:
                values.append(value)
            elif isinstance(table, _Categories):
                columns = table.known.get(value, table.other)
                if columns is None:
                    raise DomainError(f"the feature {name!r} holds the unknown category {value!r}")
                values += columns
            elif value is None:
                values += table
            else:
                values += (value, 0.0)
        return values

    def _refusal(self, rows: Sequence[Mapping[str, Value]]) -> DomainError:
        for row in rows:
            for feature in self.schema.features:
                value = row[feature.name]
                if feature.kind != "category" and isinstance(value, str):
                    text = f"the feature {feature.name!r} holds text where a number belongs"
                    return DomainError(text)
        return DomainError("a row cannot be encoded")


_CACHED: Final = 64
_encoders: dict[int, Encoder] = {}


def encode(schema: FeatureSchema, rows: Sequence[Mapping[str, Value]]) -> np.ndarray:
    """Rows as the model's input, float32 ``[len(rows), width]``.

    A missing number of a feature that has no ``fill`` becomes NaN.

    Raises:
        DomainError: a row lacks a feature, or holds text for a number or an unknown category;
            names the feature.
    """
    # Looked up by identity: the schema's hash would cost more than the encoding of a row. The
    # encoder keeps its schema alive, so the identity stays its own.
    encoder = _encoders.get(id(schema))
    if encoder is None:
        if len(_encoders) >= _CACHED:
            _encoders.clear()
        encoder = _encoders[id(schema)] = Encoder(schema)
    return encoder(rows)


def column_names(schema: FeatureSchema) -> tuple[str, ...]:
    """Names of the model's input columns, for people: ``Age``, ``Age is missing``, ``Sex=male``."""
    names: list[str] = []
    for feature in schema.features:
        missing = [f"{feature.name} is missing"] if feature.nullable else []
        if feature.kind == "category":
            names += [f"{feature.name}={value}" for value in feature.categories]
            names += missing
        else:
            names.append(feature.name)
            names += missing if feature.fill is not None else []
    return tuple(names)


def width(schema: FeatureSchema) -> int:
    """Number of the model's input columns."""
    return len(column_names(schema))


def fitted(schema: FeatureSchema, rows: Sequence[Mapping[str, Value]]) -> FeatureSchema:
    """The schema with what the encoding learns from the training rows: medians of nullable numbers.

    Where every training row misses the value, 0 takes the median's place.
    """

    def fit(feature: Feature) -> Feature:
        if feature.kind == "category" or not feature.nullable:
            return feature
        known = [float(v) for row in rows if isinstance(v := row[feature.name], int | float)]
        return replace(feature, fill=float(np.median(known)) if known else 0.0)

    return replace(schema, features=tuple(map(fit, schema.features)))


def _is_wide(feature: Feature) -> bool:
    return feature.kind == "category" or (feature.nullable and feature.fill is not None)


def _table(feature: Feature) -> _Categories | tuple[float, ...] | None:
    """A category's columns by value, a missing number's columns, or None for a plain number."""
    if feature.kind != "category":
        return (feature.fill, 1.0) if feature.nullable and feature.fill is not None else None
    size = len(feature.categories) + feature.nullable
    known: dict[Value, tuple[float, ...]] = {
        value: tuple(float(place == number) for place in range(size))
        for number, value in enumerate((*feature.categories, None)[:size])
    }
    # A category whose values the schema does not list takes any text, and the model none.
    free = feature.other or not feature.categories
    return _Categories(known, (0.0,) * size if free else None)


def decode(schema: FeatureSchema, outputs: np.ndarray) -> list[Scored]:
    """What the model puts out, ``[n, outputs]``, as answers.

    The class comes from the probabilities and not from the model's own label output, so that what
    is logged as class and as probability can never disagree.
    """
    if schema.regression:
        if not np.isfinite(outputs).all():
            raise DomainError("the model predicts a number that is not finite")
        return [Scored(value) for value in outputs[:, 0].tolist()]
    texts = [str(label) for label in schema.classes]
    probabilities = outputs.clip(0.0, 1.0)  # sums in single precision overshoot by 1e-6
    best = probabilities.argmax(axis=1).tolist()
    return [
        Scored(schema.classes[index], index, row[index], dict(zip(texts, row, strict=True)))
        for index, row in zip(best, probabilities.tolist(), strict=True)
    ]
