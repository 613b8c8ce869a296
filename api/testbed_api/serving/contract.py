"""What a model of one's own must answer: each breach of it is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed_api.serving.runtime import ModelError

if TYPE_CHECKING:
    from testbed_domain.features import FeatureSchema

ONE_SUM: Final = 0.01
"""By which probabilities may miss a sum of 1: single precision, and what is rounded."""


def require_answer(schema: FeatureSchema, answer: Any, rows: int, who: str) -> np.ndarray:  # noqa: ANN401 - whatever a model returns
    """A model's answer as the service takes it: probabilities ``[rows, classes]`` or ``[rows, 1]``.

    Args:
        schema: of the model.
        answer: what it returned: numbers of a regression, else probabilities or classes.
        rows: that it was asked about.
        who: the method that returned it, in words.

    Raises:
        ModelError: it is something else; says what must be returned, and what was.
    """
    try:
        found = np.asarray(answer)
    except ValueError as error:
        raise ModelError(f"{who} must return an array, and returned lists: {error}") from None
    if schema.regression:
        return _numbers(found, rows, who)
    if found.shape == (rows,):
        return _classes(schema, found, who)
    wanted = (
        f"{who} must return for {rows} rows the probabilities [{rows}, {len(schema.classes)}] of "
        f"the classes {_listed(schema)}, or a class each"
    )
    if found.shape != (rows, len(schema.classes)) or found.dtype.kind not in "fiub":
        raise ModelError(f"{wanted}, and returned {_said(answer, found)}")
    probabilities = found.astype(np.float32)
    sums = probabilities.sum(axis=1)
    if not (probabilities >= -ONE_SUM).all() or not (abs(sums - 1.0) <= ONE_SUM).all():
        worst = found[int(np.argmax(~(abs(sums - 1.0) <= ONE_SUM)))].tolist()
        raise ModelError(f"{wanted}; these are no probabilities: {worst}")
    return probabilities


def class_text(label: object) -> str:
    """A class as text that ``1``, ``1.0`` and ``np.int64(1)`` share."""
    plain = label.item() if isinstance(label, np.generic) else label
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def _numbers(found: np.ndarray, rows: int, who: str) -> np.ndarray:
    if found.shape not in {(rows,), (rows, 1)} or found.dtype.kind not in "fiu":
        raise ModelError(
            f"{who} must return one number for each of {rows} rows, [{rows}] or [{rows}, 1], and "
            f"returned {_said(found, found)}"
        )
    numbers = found.astype(float).reshape(rows, 1)
    if not np.isfinite(numbers).all():
        raise ModelError(f"{who} must return finite numbers, and returned a NaN or an infinite one")
    return numbers


def _classes(schema: FeatureSchema, found: np.ndarray, who: str) -> np.ndarray:
    """Classes alone, as probabilities 0 and 1."""
    known = np.array([class_text(label) for label in schema.classes])
    if found.dtype.kind == "b" and "True" not in known:
        found = found.astype(int)
    texts = np.array([class_text(label) for label in found.tolist()])
    hits = texts[:, None] == known[None, :]
    if not (known_ := hits.any(axis=1)).all():
        strange = texts[~known_][0]
        raise ModelError(
            f"{who} must return classes among {_listed(schema)}, and returned {strange}"
        )
    return np.asarray(hits, np.float32)


def _listed(schema: FeatureSchema) -> str:
    return f"({', '.join(map(str, schema.classes))})"


def _said(answer: object, found: np.ndarray) -> str:
    if not isinstance(answer, np.ndarray) and not found.shape:
        return type(answer).__name__
    return f"{list(found.shape)} of {found.dtype}"
