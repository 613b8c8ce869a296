"""A use case from the user's own table: its schema is inferred (needs pandas).

Per column, in this order; what is left out is told with its reason:

- empty, or the same value everywhere: left out, it tells nothing;
- numbers: ``integer`` where all are whole, else ``number``. Bounds are the column's own with its
  range as a margin on either side, but a column without negative numbers stays without. Whole
  numbers that differ in every row are left out as an id where they are named so or just count up;
- anything else is a category: its values, where there are at most :data:`MAXIMUM_CATEGORIES`. Of
  more, the most frequent that many are kept and the rest counts as "other", where they cover most
  of the rows; else the column is left out: ids, names, free text, dates.

A column in which a value is missing may be missing in requests too. The classes are the target's
values, sorted; of two, the last one is the positive class (``1``, ``Yes``, ``True``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from testbed_domain.dataset import DataError, is_empty, read_frame
from testbed_domain.features import Feature, FeatureSchema, mistakes
from testbed_domain.use_cases import ANY, UseCase

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.use_cases import Label

MAXIMUM_CATEGORIES: Final = 30
MAXIMUM_CLASSES: Final = 20
# The prediction log keeps classes in so many characters.
CLASS_LENGTH: Final = 64
# Values of a category come in requests, which carry texts up to this length.
TEXT_LENGTH: Final = 200
_COVERED: Final = 0.8
_ID_NAME: Final = re.compile(r"(^|[_\s-])(id|key|index|nr|no|uuid)$|[a-z](Id|ID)$", re.IGNORECASE)
_LARGEST_WHOLE: Final = 2**53


def infer_use_case(path: Path, target: str) -> tuple[UseCase, list[str]]:
    """The use case of a CSV or Parquet file, and one line for each column that is left out.

    Args:
        path: the file; it is read with :func:`testbed_domain.dataset.read_file` afterwards.
        target: name of the column with the classes.

    Raises:
        DataError: the file cannot be read, has no such column, its target is no class, or no
            column is left.
    """
    frame = read_frame(path)
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    if target not in frame.columns:
        known = ", ".join(frame.columns) or "none"
        raise DataError(f"{path} lacks the target column {target}; it has {known}")
    if not frame.columns.is_unique:
        raise DataError(f"{path} has columns twice: {', '.join(frame.columns)}")
    if frame.empty:
        raise DataError(f"{path} has a header but no rows")
    classes = _classes(frame[target], target, path)
    features: list[Feature] = []
    left_out: list[str] = []
    for name in frame.columns:
        if name != target:
            found = _feature(name, frame[name])
            if isinstance(found, Feature):
                features.append(found)
            else:
                left_out.append(f"column {name} is left out: {found}")
    if not features:
        raise DataError(f"{path} has no column to learn from: {'; '.join(left_out)}")
    schema = FeatureSchema(
        features=tuple(features),
        target=target,
        classes=classes,
        positive_class=classes[-1] if len(classes) == 2 else None,  # noqa: PLR2004 - binary
        kpis=(mistakes("wrong_decisions", "Wrong decisions: 1 each.", classes),),
    )
    return UseCase(ANY, f"{target} of {path.name}", schema), left_out


def _classes(column: pd.Series[Any], target: str, path: Path) -> tuple[Label, ...]:
    texts = column.astype(str).str.strip()[~is_empty(column)]
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float)
    found: list[Label] = []
    if np.isfinite(numbers).all() and (np.mod(numbers, 1) == 0).all():
        found += sorted({int(number) for number in numbers})
    else:
        found += sorted(set(texts))
    if not 1 < len(found) <= MAXIMUM_CLASSES:
        raise DataError(
            f"{path}: the target {target} holds {len(found)} different values; a classifier needs "
            f"2 to {MAXIMUM_CLASSES}"
        )
    if any(len(str(label)) > CLASS_LENGTH for label in found):
        raise DataError(f"{path}: a class of {target} has more than {CLASS_LENGTH} characters")
    return tuple(found)


def _feature(name: str, column: pd.Series[Any]) -> Feature | str:
    """The column's feature, or why it is left out."""
    empty = is_empty(column)
    present = column[~empty]
    if present.empty:
        return "it is empty"
    nullable = bool(empty.any())
    if not nullable and bool((present == present.iloc[0]).all()):
        return "it holds one value only"
    if not pd.api.types.is_bool_dtype(present) and not _codes(present):
        numbers = pd.to_numeric(present, errors="coerce").to_numpy(dtype=float)
        if np.isfinite(numbers).all():
            return _number(name, numbers, nullable=nullable)
    return _category(name, present.astype(str).str.strip(), nullable=nullable)


def _codes(column: pd.Series[Any]) -> bool:
    """Whether the digits of a column are a code, as in ``01234``: no number begins with a zero."""
    return bool(column.astype(str).str.fullmatch(r"\s*0\d+\s*").any())


def _number(name: str, numbers: np.ndarray[Any, Any], *, nullable: bool) -> Feature | str:
    whole = bool((np.mod(numbers, 1) == 0).all() and np.abs(numbers).max() < _LARGEST_WHOLE)
    different = len(np.unique(numbers)) == len(numbers)
    if whole and different and (_ID_NAME.search(name) or (np.abs(np.diff(numbers)) == 1).all()):
        return "it is an id: whole numbers that differ in every row"
    low, high = float(numbers.min()), float(numbers.max())
    margin = high - low or 1.0
    example = float(np.sort(numbers)[len(numbers) // 2])  # a value that really occurs
    return Feature(
        name,
        "integer" if whole else "number",
        f"From {low:g} to {high:g} in the data.",
        minimum=0.0 if 0 <= low < margin else low - margin,
        maximum=high + margin,
        nullable=nullable,
        example=int(example) if whole else example,
    )


def _category(name: str, texts: pd.Series[Any], *, nullable: bool) -> Feature | str:
    counts = texts.value_counts()
    kept = counts.index[:MAXIMUM_CATEGORIES]
    if counts[kept].sum() < _COVERED * len(texts):
        return f"it is an id or free text: {len(counts)} different values in {len(texts)} rows"
    if texts.str.len().max() > TEXT_LENGTH:
        return f"it holds texts of more than {TEXT_LENGTH} characters"
    other = len(counts) > len(kept)
    return Feature(
        name,
        "category",
        f"The {len(kept)} most frequent of {len(counts)} values; others are taken too."
        if other
        else f"One of {len(kept)} values.",
        categories=tuple(sorted(kept)),
        nullable=nullable,
        example=str(counts.index[0]),
        other=other,
    )
