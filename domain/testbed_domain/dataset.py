"""Real data: files, scikit-learn's bundled sets and OpenML, checked row by row (needs pandas)."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sklearn import datasets

from testbed_domain.errors import DomainError
from testbed_domain.tables.columnkinds import class_text, numbers, spelled, texts, truth_of
from testbed_domain.tables.files import FileSource
from testbed_domain.tables.formats import LABELS_ROWS
from testbed_domain.tables.numbertext import decimal_of_table, is_category_marker, is_marker
from testbed_domain.tables.reading import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from testbed_domain.features import Feature, Label, Row, Value
    from testbed_domain.tables.reading import ReadOptions
    from testbed_domain.use_cases import UseCase

MINIMUM_PER_CLASS: Final = 10
"""Rows that each class must have, so that train, test and reference all hold some."""


MINIMUM_NUMBERS: Final = 40
"""Rows of a regression, so that each tenth of the target is in train, test and reference."""


class DataError(DomainError):
    """The data cannot be used; the message names the file, and the column and row at fault."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Checked rows and where they come from.

    Attributes:
        rows: one dict per row, with the schema's features only.
        labels: the class of each row, or the number that a regression predicts.
        source: for the artefact; names the file but not its folder.
        keys: the id of each row; empty where rows have none.
    """

    rows: list[Row]
    labels: list[Label]
    source: Mapping[str, str]
    keys: list[str] = field(default_factory=list)


def read_file(use_case: UseCase, path: Path, options: ReadOptions | None = None) -> DataSet:
    """Read a file of a use case; columns it does not know are ignored.

    Args:
        use_case: what the file must hold.
        path: the file.
        options: what the user says of how to read it.

    Raises:
        DataError: the file is missing, empty or unreadable, lacks columns, or holds values that
            the schema does not allow.
    """
    key = use_case.schema.key
    wanted = (*use_case.schema.names, use_case.schema.target, *([key.column] if key else []))
    frame, _ = read_frame(path, options, wanted)
    rows, labels = parse(use_case, frame, str(path), options)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = {"kind": "file", "name": path.name, "sha256": digest}
    return DataSet(rows, labels, source, read_keys(use_case, frame, str(path)))


def read_bundled(use_case: UseCase) -> DataSet:
    """The data set of a use case that ships inside scikit-learn.

    Raises:
        DataError: the use case has none.
    """
    if use_case.bundled is None:
        raise DataError(f"{use_case.name} has no bundled data; give a file with --data")
    load = getattr(datasets, f"load_{use_case.bundled}")
    bunch: Any = load(as_frame=True, **use_case.bundled_options)
    frame: pd.DataFrame = bunch.data.copy()
    regression = use_case.schema.regression
    target = bunch.target if regression else bunch.target_names[bunch.target]
    frame[use_case.schema.target] = target
    rows, labels = parse(use_case, frame, f"scikit-learn's {use_case.bundled}")
    digest = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    name = f"sklearn.datasets.load_{use_case.bundled}"
    return DataSet(rows, labels, {"kind": "bundled", "name": name, "sha256": digest})


def parse(
    use_case: UseCase, frame: pd.DataFrame, where: str, options: ReadOptions | None = None
) -> tuple[list[Row], list[Label]]:
    """Check a table against the use case's schema and turn it into rows and labels.

    Args:
        use_case: what the table must hold.
        frame: the table; values may be text.
        where: what errors call the table.
        options: what the user says of the table.

    Raises:
        DataError: names the missing columns, or the column and row of the first bad value.
    """
    schema = use_case.schema
    found = [str(name) for name in frame.columns]
    table = frame.set_axis([_name(use_case, name, found) for name in found], axis="columns")
    missing = [name for name in (*schema.names, schema.target) if name not in table.columns]
    if missing:
        raise DataError(
            f"{where} lacks the columns {', '.join(missing)}; it has {', '.join(found) or 'none'}"
        )
    if not table.columns.is_unique:
        raise DataError(f"{where} has columns twice: {', '.join(found)}")
    if table.empty:
        raise DataError(f"{where} has a header but no rows")
    decimal = options.decimal if options else None
    mark = decimal_mark(table)
    columns = [
        _values(feature, table[feature.name], where, mark, decimal) for feature in schema.features
    ]
    target = table[schema.target]
    labels = (
        _numbers(schema.target, target, where, mark, decimal)
        if schema.regression
        else _labels(use_case, target, where)
    )
    rows: list[Row] = [
        dict(zip(schema.names, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    return rows, labels


def read_keys(use_case: UseCase, frame: pd.DataFrame, where: str) -> list[str]:
    """The id of each row of a table; empty where the use case has no key.

    Raises:
        DataError: the column is missing, or an id is missing or comes twice.
    """
    key = use_case.schema.key
    if key is None:
        return []
    if key.column not in frame.columns:
        raise DataError(f"{where} lacks the column {key.column}, by which features are looked up")
    column = frame[key.column]
    _refuse(is_empty(column), key.column, column, where, "is empty")
    ids = texts(column)
    _refuse(ids.duplicated().to_numpy(), key.column, column, where, "comes twice")
    return list(ids)


def read_frame(
    path: Path, options: ReadOptions | None = None, retain: Collection[str] = ()
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table in a file of any kind that can be read, and lines on how; of CSV all are texts.

    Labels of the rows, as the index of pandas, are left out: nobody can learn from them.

    Args:
        path: the file.
        options: what the user says of how to read it.
        retain: columns that are wanted even where they label the rows.

    Raises:
        DataError: the file is missing, empty or unreadable, or has a column twice.
    """
    try:
        source = FileSource.of(path, options)
        labels = [name for name in source.labels() if name not in retain]
        frame = source.read([name for name in source.names() if name not in labels])
    except SourceError as error:
        raise DataError(str(error)) from error
    lines = (f"column {name} is left out: {LABELS_ROWS}" for name in labels)
    return frame, (*source.notes, *lines)


def decimal_mark(frame: pd.DataFrame) -> str | None:
    """The decimal mark of a table's texts, where they say it."""
    return decimal_of_table(frame.iloc[:, place] for place in range(frame.shape[1]))


def _name(use_case: UseCase, name: str, found: list[str]) -> str:
    """The schema's name of a column; an alias yields where the real name is there too."""
    alias = use_case.columns.get(name, name)
    return name if alias in found else alias


def _values(
    feature: Feature, column: pd.Series[Any], where: str, mark: str | None, decimal: str | None
) -> list[Value]:
    """One feature's values, checked; text of spaces only is a missing value."""
    empty = is_empty(column, words=feature.kind == "category", known=feature.categories)
    if not feature.nullable:
        _refuse(empty, feature.name, column, where, "is empty")
    if feature.kind == "category":
        return _texts(feature, column, empty, where)
    array = numbers(column, decimal, mark)
    _refuse(np.isnan(array) & ~empty, feature.name, column, where, "is not a number")
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    outside = np.isinf(array) | (array < low) | (array > high)
    _refuse(outside, feature.name, column, where, f"lies outside {low:g} to {high:g}")
    if feature.kind == "integer":
        _refuse(np.mod(array, 1) > 0, feature.name, column, where, "is not a whole number")
    number = int if feature.kind == "integer" else float
    return [
        None if gone else number(value)
        for value, gone in zip(array.tolist(), empty.tolist(), strict=True)
    ]


def is_empty(
    column: pd.Series[Any], *, words: bool = True, known: Collection[str] = ()
) -> np.ndarray[Any, Any]:
    """Where a column holds nothing: text of spaces only, or ``n/a``, ``?`` and the like.

    Args:
        column: any column.
        words: whether it is a category; among numbers more texts say nothing.
        known: texts that are values.
    """
    marks = is_category_marker if words else is_marker
    marked = column.map(lambda value: marks(value) and str(value).strip() not in known)
    return np.asarray(column.isna() | marked.astype(bool), dtype=bool)


def _texts(
    feature: Feature, column: pd.Series[Any], empty: np.ndarray[Any, Any], where: str
) -> list[Value]:
    """A category's values; surrounding spaces don't count, and truths come in any form."""
    found = texts(column.mask(empty)).map(class_text, na_action="ignore")
    if forms := spelled(feature.categories):
        known = {*feature.categories}
        found = pd.Series(
            [text if text in known else forms.get(truth_of(text) or "", text) for text in found],
            index=found.index,
            dtype=object,
        )
    if feature.categories and not feature.other:
        values = ", ".join(feature.categories)
        unknown = ~found.isin(list(feature.categories)).to_numpy() & ~empty
        _refuse(unknown, feature.name, column, where, f"is not one of {values}")
    return [None if gone else text for text, gone in zip(found, empty.tolist(), strict=True)]


def _numbers(
    name: str, column: pd.Series[Any], where: str, mark: str | None, decimal: str | None
) -> list[Label]:
    """The number that belongs to each row, checked."""
    _refuse(is_empty(column, words=False), name, column, where, "is empty")
    found = numbers(column, decimal, mark)
    _refuse(~np.isfinite(found), name, column, where, "is not a number")
    if len(found) < MINIMUM_NUMBERS:
        raise DataError(f"{where} has {len(found)} rows; a regression needs {MINIMUM_NUMBERS}")
    return list(found.tolist())


def _labels(use_case: UseCase, column: pd.Series[Any], where: str) -> list[Label]:
    """The class of each row, checked."""
    schema = use_case.schema
    spellings: dict[str, Label] = {str(label): label for label in schema.classes}
    spellings |= {f"{label}.0": label for label in schema.classes if isinstance(label, int)}
    spellings |= use_case.labels
    truths: dict[str | None, Label | None] = {}
    for truth, text in spelled([str(label) for label in schema.classes]).items():
        truths[truth] = spellings.get(text)
    found = texts(column)
    read = [spellings.get(text, truths.get(truth_of(text))) for text in found]
    classes = ", ".join(str(label) for label in schema.classes)
    unknown = np.array([label is None for label in read])
    _refuse(unknown, schema.target, column, where, f"is not one of the classes {classes}")
    labels = [label for label in read if label is not None]
    counts = Counter(labels)
    for label in schema.classes:
        if counts[label] < MINIMUM_PER_CLASS:
            raise DataError(
                f"{where}: {schema.target} holds {label} in {counts[label]} rows; "
                f"each of {classes} needs {MINIMUM_PER_CLASS}"
            )
    return labels


def _refuse(
    bad: np.ndarray[Any, Any], name: str, column: pd.Series[Any], where: str, problem: str
) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where}: column {name}, data row {row + 1}: {column.iloc[row]!r} {problem}"
        )
