"""Between rows and the model's tensors, alike in training and in serving; free of pandas.

The ONNX graph has one input, :data:`INPUT`: float32 ``[n, features]`` in the schema's order; and
two outputs, :data:`OUTPUTS`: the class index, int64 ``[n]``, and the probability of each class,
float32 ``[n, classes]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import FeatureSchema, Value

INPUT: Final = "features"
OUTPUTS: Final = ("label", "probabilities")


@dataclass(frozen=True, slots=True)
class Scored:
    """The model's answer for one row.

    Attributes:
        index: index into the schema's classes of the most probable class (the first of equals).
        probability: its probability, 0 to 1.
        probabilities: class, as text, to probability.
    """

    index: int
    probability: float
    probabilities: dict[str, float]


def encode(schema: FeatureSchema, rows: Sequence[Mapping[str, Value]]) -> np.ndarray:
    """Rows as the model's input: float32 ``[len(rows), features]``, None as NaN.

    Raises:
        DomainError: a row lacks a feature or holds text; names the feature.
    """
    names = schema.names
    try:
        return np.array([[row[name] for name in names] for row in rows], np.float32).reshape(
            len(rows), len(names)
        )
    except KeyError as error:
        raise DomainError(f"a row lacks the feature {error.args[0]!r}") from None
    except (ValueError, TypeError):
        text = next(name for row in rows for name in names if isinstance(row[name], str))
        raise DomainError(f"the feature {text!r} holds text where a number belongs") from None


def decode(schema: FeatureSchema, probabilities: np.ndarray) -> list[Scored]:
    """The model's probabilities, ``[n, classes]``, as answers.

    The class comes from the probabilities and not from the model's own label output, so that what
    is logged as class and as probability can never disagree.
    """
    texts = [str(label) for label in schema.classes]
    probabilities = probabilities.clip(0.0, 1.0)  # sums in single precision overshoot by 1e-6
    best = probabilities.argmax(axis=1).tolist()
    return [
        Scored(index, row[index], dict(zip(texts, row, strict=True)))
        for index, row in zip(best, probabilities.tolist(), strict=True)
    ]
