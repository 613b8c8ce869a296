"""A use case from the user's own table: its schema is inferred (needs pandas).

Per column, in this order; what is left out is reported with its reason:

- empty, or the same value everywhere: left out, it says nothing;
- numbers: ``integer`` where all are whole, else ``number``. Bounds are the column's own with its
  range as a margin on either side, but a column without negative numbers stays without. Nothing
  but 0 and 1 is a flag: without a margin, and requests may write it as ``false`` and ``true``.
  Whole numbers that differ in every row are left out as an id where they are named so or just
  count up;
- anything else is a category: its values, where there are at most :data:`MAXIMUM_CATEGORIES`. Of
  more, the most frequent that many are kept and the rest counts as "other", where they cover most
  of the rows; else the column is left out: ids, names, free text, dates.

A column in which a value is missing may be missing in requests too. A target of numbers with more
than :data:`MAXIMUM_CLASSES` different ones is a regression's, unless it is said to be none. Else
the classes are the target's values, sorted; of two, the last one is the positive class (``1``,
``Yes``, ``True``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from testbed_domain.dataset import DataError, decimal_mark, is_empty, read_frame
from testbed_domain.features import Feature, FeatureSchema, Task, mistakes
from testbed_domain.tables.columnkinds import (
    ID_NAME,
    class_texts,
    kind_of,
    markers_in,
    numbers,
    truths,
    without_blanks,
)
from testbed_domain.tables.targets import MAXIMUM_CLASSES, task_of
from testbed_domain.use_cases import ANY, UseCase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_domain.tables.reading import ReadOptions, TableKind

MAXIMUM_CATEGORIES: Final = 30
# The prediction log keeps classes in so many characters.
CLASS_LENGTH: Final = 64
# Values of a category come in requests, which carry texts up to this length.
TEXT_LENGTH: Final = 200
_COVERED: Final = 0.8
_LARGEST_WHOLE: Final = 2**53


def infer_use_case(
    path: Path, target: str, task: Task | None = None, options: ReadOptions | None = None
) -> tuple[UseCase, list[str]]:
    """The use case of a table, and lines on its task and on each column that is left out.

    Args:
        path: the file; it is read with :func:`testbed_domain.dataset.read_file` afterwards.
        target: name of the column with the classes or numbers to predict.
        task: what to learn; None infers it from the target.
        options: what the user says of how to read it, and of the kinds of its columns.

    Raises:
        DataError: the file cannot be read, has no such column, its target does not fit the task, or
            no column is left.
    """
    frame, notes = read_frame(path, options, (target,))
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    if target not in frame.columns:
        known = ", ".join(frame.columns) or "none"
        raise DataError(f"{path} lacks the target column {target}; it has {known}")
    if not frame.columns.is_unique:
        raise DataError(f"{path} has columns twice: {', '.join(frame.columns)}")
    if frame.empty:
        raise DataError(f"{path} has a header but no rows")
    mark = decimal_mark(frame)
    decimal = options.decimal if options else None
    chosen = task or task_of(frame[target], decimal, mark)
    classes = _classes(frame[target], target, path) if chosen == "classification" else ()
    if chosen == "regression":
        _check_numbers(frame[target], target, path, mark, decimal)
    said = _said(frame, target, path, options)
    features: list[Feature] = []
    left_out: list[str] = []
    for name in frame.columns:
        if name != target:
            found = _feature(name, frame[name], decimal, mark, said.get(name))
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
        kpis=(mistakes("wrong_decisions", "Wrong decisions: 1 each.", classes),) if classes else (),
        task=chosen,
    )
    inferred = f"the target {target} is learnt as a {chosen}, as its values suggest (or by --task)"
    lines = [*([] if task else [inferred]), *notes, *left_out]
    return UseCase(ANY, f"{target} of {path.name}", schema), lines


def _check_numbers(
    column: pd.Series[Any], target: str, path: Path, mark: str | None, decimal: str | None
) -> None:
    read = numbers(column[~is_empty(column, words=False)], decimal, mark)
    if not len(read) or not np.isfinite(read).all():
        raise DataError(f"{path}: the target {target} holds other values than numbers")
    if len(np.unique(read)) == 1:
        raise DataError(f"{path}: the target {target} holds one value only")


def _classes(column: pd.Series[Any], target: str, path: Path) -> tuple[int | str, ...]:
    present = class_texts(column[~is_empty(column)])
    read = pd.to_numeric(present, errors="coerce").to_numpy(dtype=float)
    found: list[int | str] = []
    if np.isfinite(read).all() and (np.mod(read, 1) == 0).all():
        found += sorted({int(number) for number in read})
    else:
        found += sorted(set(present))
    if not 1 < len(found) <= MAXIMUM_CLASSES:
        raise DataError(
            f"{path}: the target {target} holds {len(found)} different values; a classifier needs "
            f"2 to {MAXIMUM_CLASSES}"
        )
    if any(len(str(label)) > CLASS_LENGTH for label in found):
        raise DataError(f"{path}: a class of {target} has more than {CLASS_LENGTH} characters")
    return tuple(found)


def _said(
    frame: pd.DataFrame, target: str, path: Path, options: ReadOptions | None
) -> Mapping[str, TableKind]:
    """Column to the kind that the user says it has."""
    said = options.kinds if options else {}
    features = [name for name in frame.columns if name != target]
    if unknown := [name for name in said if name not in features]:
        raise DataError(
            f"--as names columns that {path} lacks, or its target: {', '.join(unknown)}; it has "
            f"{', '.join(features)}"
        )
    return said


def _feature(
    name: str,
    column: pd.Series[Any],
    decimal: str | None,
    mark: str | None,
    said: TableKind | None,
) -> Feature | str:
    """The column's feature, or why it is left out."""
    kind = said or kind_of(without_blanks(column), typed=False, decimal=decimal)
    # NA among codes of countries is one of them; rows are read by the categories afterwards.
    known = () if kind == "number" else markers_in(column, typed=False)
    empty = is_empty(column, words=kind != "number", known=known)
    present = column[~empty]
    if present.empty:
        return "it is empty"
    nullable = bool(empty.any())
    if not nullable and bool((present == present.iloc[0]).all()):
        return "it holds one value only"
    if kind == "number":
        read = numbers(present, decimal, mark)
        if np.isfinite(read).all():
            return _number(name, read, nullable=nullable, asked=said is not None)
        odd = present[~np.isfinite(read)]
        return (
            f"{len(odd)} of {len(present)} values are not numbers ({str(odd.iloc[0])[:40]!r}): "
            "correct or empty them"
        )
    words = truths(present) if kind == "boolean" else class_texts(present)
    return _unfit(words, said) or _category(name, words, nullable=nullable)


def _unfit(words: pd.Series[Any], said: TableKind | None) -> str:
    """Why values can't be learned as the user says; empty where they can."""
    if said == "date":
        return "it is a date, of which nothing is learned"
    others = {*words} - {"False", "True"} if said == "boolean" else set()
    return f"it holds {min(others)[:40]!r}, which is neither true nor false" if others else ""


def _number(
    name: str, values: np.ndarray[Any, Any], *, nullable: bool, asked: bool
) -> Feature | str:
    whole = bool((np.mod(values, 1) == 0).all() and np.abs(values).max() < _LARGEST_WHOLE)
    different = len(np.unique(values)) == len(values)
    counts_up = bool((np.abs(np.diff(values)) == 1).all())
    if not asked and whole and different and (ID_NAME.search(name) or counts_up):
        return "it is an id: whole numbers that differ in every row"
    low, high = float(values.min()), float(values.max())
    # Beyond 0 and 1 there is nothing, where these are all.
    flag = whole and (low, high) == (0, 1)
    margin = 0.0 if flag else high - low or 1.0
    example = float(np.sort(values)[len(values) // 2])  # a value that really occurs
    return Feature(
        name,
        "integer" if whole else "number",
        "0 or 1: false or true." if flag else f"From {low:g} to {high:g} in the data.",
        minimum=0.0 if 0 <= low <= margin else low - margin,
        maximum=high + margin,
        nullable=nullable,
        example=int(example) if whole else example,
    )


def _category(name: str, words: pd.Series[Any], *, nullable: bool) -> Feature | str:
    counts = words.value_counts()
    retained = counts.index[:MAXIMUM_CATEGORIES]
    if counts[retained].sum() < _COVERED * len(words):
        return f"it is an id or free text: {len(counts)} different values in {len(words)} rows"
    if words.str.len().max() > TEXT_LENGTH:
        return f"it holds texts of more than {TEXT_LENGTH} characters"
    other = len(counts) > len(retained)
    return Feature(
        name,
        "category",
        f"The {len(retained)} most frequent of {len(counts)} values; others are taken too."
        if other
        else f"One of {len(retained)} values.",
        categories=tuple(sorted(retained)),
        nullable=nullable,
        example=str(counts.index[0]),
        other=other,
    )
