"""Reports of any two DataFrames: drift, classification, or both in one; of numbers, all in one.

For a notebook or another program; the job uses the same rule on windows of the prediction log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from testbed_domain.errors import DomainError
from testbed_domain.tables.columnkinds import plain
from testbed_domain.tables.formats import LABELS_ROWS, label_names

from testbed_drift.evaluation.detection import Detector
from testbed_drift.formatting import ReportHeading
from testbed_drift.rendering.classification import BINARY, Quality, evaluate
from testbed_drift.rendering.page import page
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.tables.job import assessor_of
from testbed_drift.tables.pinning import choose, pin
from testbed_drift.tables.rows import TableRows
from testbed_drift.tables.schema import ColumnRoles, TableSchema, TableSchemaError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.features import Task

    from testbed_drift.evaluation.assessment import Assessment
    from testbed_drift.evaluation.detection import Detection
    from testbed_drift.storage.reports import ReportStore

# Classes of which one is positive without being stated.
TRUE_CLASSES: Final = (("0", "1"), ("False", "True"), ("no", "yes"), ("No", "Yes"))


class TableError(DomainError):
    """Tables that can't be compared. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """What two tables came to.

    Attributes:
        content: ready for JSON; ``drift`` and ``classification`` as far as they were asked for, of
            a regression also ``performance``, ``quality`` and ``concept_drift``.
        html: renders the page of figures, about 4 MB, which works offline.
    """

    content: dict[str, Any]
    html: Callable[[], str]

    def save(self, store: ReportStore, reference: str, current: str) -> tuple[Path, Path]:
        """Write the page and the JSON file.

        Args:
            store: the folder.
            reference: names the first table in the files' names.
            current: names the second.

        Returns:
            Paths of the HTML and of the JSON file.
        """
        return (
            store.write_html(reference, current, self.html()),
            store.write_json(reference, current, self.content),
        )


def drift_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    target: str | None = None,
    prediction: str | None = None,
    task: Task | None = None,
    rule: DriftRule | None = None,
) -> TableReport:
    """Which columns drifted from one table to the other, and how the errors of numbers changed.

    Columns are read, compared and left out as by ``testbed drift run``: by the kinds that they have
    in the reference; ids, free text and row labels are left out (``left_out``), and columns that
    only the current table has are named (``unexpected_columns``).

    Of a regression it says what ``testbed drift run`` says: error metrics of both tables, the mean
    absolute error that is expected before labels come (``performance``), and whether errors and
    residuals drifted (``concept_drift``). Of classes see :func:`combined_report`.

    Args:
        reference: what was.
        current: what is, with the same columns, and perhaps more.
        target: column of the labels, evaluated by itself and no input; None where there is none.
        prediction: column of the predicted classes or numbers, likewise.
        task: what these hold; None takes a regression where the target holds more than 20
            different numbers.
        rule: thresholds.

    Raises:
        TableError: the tables can't be compared.
    """
    found = _detect(reference, current, ColumnRoles(target, prediction, task=task), rule)
    content: dict[str, Any] = {"task": found.schema.task, "drift": found.content}
    assessment = found.assess()
    if assessment is None:
        return TableReport(content, lambda: found.detection.html(found.heading))
    return TableReport(
        content | assessment.to_dict(),
        lambda: found.detection.html(found.heading, assessment.tables()),
    )


def classification_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    target: str,
    prediction: str,
    positive: object = None,
) -> TableReport:
    """How well a model predicts in both tables.

    Args:
        reference: what was; rows without label or prediction are left out.
        current: what is, likewise.
        target: column of the labels.
        prediction: column of the predicted classes.
        positive: the positive class of two; may be left out where they are 0 and 1, or the like.

    Raises:
        TableError: the tables can't be compared.
    """
    found, chosen = _evaluate(reference, current, target, prediction, positive)
    content = {"classification": _classification(found, chosen)}
    return TableReport(content, lambda: page(found.widgets(), "Classification report"))


def combined_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    target: str,
    prediction: str,
    positive: object = None,
    rule: DriftRule | None = None,
) -> TableReport:
    """Both in one: see :func:`drift_report` and :func:`classification_report`.

    Raises:
        TableError: the tables can't be compared.
    """
    roles = ColumnRoles(target, prediction, task="classification")
    found = _detect(reference, current, roles, rule)
    quality, chosen = _evaluate(reference, current, target, prediction, positive)
    content = {"drift": found.content, "classification": _classification(quality, chosen)}
    return TableReport(content, lambda: found.detection.html(found.heading, (), quality.widgets()))


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two tables, and what was found in them.

    Attributes:
        schema: of the reference.
        reference: its rows.
        current: the other's.
        unexpected: columns that only the other has.
        detection: drift of the columns.
    """

    schema: TableSchema
    reference: TableRows
    current: TableRows
    unexpected: tuple[str, ...]
    detection: Detection

    @property
    def content(self) -> dict[str, Any]:
        """Drift, ready for JSON."""
        scores = self.detection.scores
        return {
            "left_out": dict(self.schema.left_out),
            "unexpected_columns": list(self.unexpected),
            "ratio": scores.ratio,
            "columns": {column.column: column.to_dict() for column in scores.columns},
            "prediction": scores.prediction.to_dict() if scores.prediction.scores else None,
            "target": scores.target.to_dict() if scores.target else None,
        }

    @property
    def heading(self) -> ReportHeading:
        """What stands first on the page: nobody decides, so it counts."""
        drifted, every = len(self.detection.scores.drifted_columns), self.detection.scores.columns
        rows = (("reference", self.reference), ("current", self.current))
        return ReportHeading(
            f"Drift report: {drifted} of {len(every)} columns drifted",
            compared=tuple((name, f"{len(one)} rows") for name, one in rows),
        )

    def assess(self) -> Assessment | None:
        """How a model that predicts numbers does; None of classes."""
        before, now = (rows.window("table").columns for rows in (self.reference, self.current))
        if not self.schema.numbers or before is None or now is None:
            return None
        return assessor_of(self.schema, self.unexpected).assess(before, now)


def _detect(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    roles: ColumnRoles,
    rule: DriftRule | None,
) -> _Compared:
    _check(reference, current, roles.columns)
    before, now = (_named(frame) for frame in (reference, current))
    if missing := [str(name) for name in before if name not in now]:
        raise TableError(f"the current table lacks these columns: {', '.join(missing)}")
    names = list(map(str, before))
    labels = [name for name in label_names(names) if name not in roles.columns]
    try:
        columns = choose(names, roles, (), (), labels)
        schema = pin(before, columns, roles, typed=True, asked=False)
        old, new = (TableRows.of(frame, schema) for frame in (before, now))
    except TableSchemaError as error:
        raise TableError(str(error)) from error
    left_out = dict.fromkeys(labels, LABELS_ROWS) | dict(schema.left_out)
    schema = replace(schema, left_out=left_out)
    unexpected = schema.unread(map(str, now), label_names(list(map(str, now))))
    old, new = old.as_exact_as(new.coarse), new.as_exact_as(old.coarse)
    found = Detector(schema.kinds, rule).detect(old.frame, new.frame)
    return _Compared(schema, old, new, unexpected, found)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return plain(frame.set_axis([str(name) for name in frame.columns], axis="columns"))[0]


def _evaluate(
    reference: pd.DataFrame, current: pd.DataFrame, target: str, prediction: str, positive: object
) -> tuple[Quality, str | None]:
    _check(reference, current, {target: TARGET, prediction: PREDICTION})
    before, now = (
        pd.DataFrame(
            {TARGET: _classes(frame[target]), PREDICTION: _classes(frame[prediction])}
        ).dropna()
        for frame in (reference, current)
    )
    if before.empty or now.empty:
        raise TableError("a table has no row with both a label and a prediction")
    classes = sorted({*before.to_numpy().flat, *now.to_numpy().flat})
    chosen = _positive(classes, None if positive is None else str(positive))
    fewest = min(len(classes), BINARY + 1)
    for which, frame in (("reference", before), ("current", now)):
        if frame[TARGET].nunique() < fewest:  # Evidently's figures fail there
            held = ", ".join(sorted(frame[TARGET].unique()))
            raise TableError(
                f"the labels of the {which} table hold only {held}: take more rows, for fewer than "
                f"{fewest} classes can't be compared with {', '.join(classes)}"
            )
    return evaluate(before, now, chosen), chosen


def _positive(classes: list[str], wanted: str | None) -> str | None:
    """The positive class; None where there are more than two classes."""
    if wanted is not None and wanted not in classes:
        raise TableError(f"there is no class {wanted!r}: choose from {', '.join(classes)}")
    if len(classes) > BINARY:
        return None
    if wanted is None:
        known = next((pair for pair in TRUE_CLASSES if set(classes) <= set(pair)), None)
        if known is None:
            raise TableError(f"say which class is positive: {' or '.join(classes)}")
        wanted = known[1]
    return wanted


def _check(reference: pd.DataFrame, current: pd.DataFrame, columns: Iterable[str]) -> None:
    for which, frame in (("reference", reference), ("current", current)):
        if frame.empty:
            raise TableError(f"the {which} table has no rows")
        if absent := [name for name in columns if name not in frame]:
            raise TableError(f"the {which} table has no column {', '.join(absent)}")


def _classes(values: pd.Series[Any]) -> pd.Series[Any]:
    """Classes as text; a class 1 is the same whether missing labels made it 1.0 or not."""
    return values.convert_dtypes().astype("string").astype(object).where(values.notna(), None)


def _classification(found: Quality, positive: str | None) -> dict[str, Any]:
    return {"positive": positive, "reference": found.reference, "current": found.current}
