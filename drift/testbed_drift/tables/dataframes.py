"""Reports of any two DataFrames: drift, classification, or both in one.

For a notebook or another program; the job uses the same rule on windows of the prediction log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from testbed_domain.errors import DomainError

from testbed_drift.judging.detection import Detector
from testbed_drift.rendering.classification import BINARY, Quality, evaluate
from testbed_drift.rendering.page import page
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.scoring.scores import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_drift.judging.detection import Detection
    from testbed_drift.keeping.reports import ReportStore
    from testbed_drift.rows.columns import ColumnKind

# Classes of which one is positive without being told.
TRUE_CLASSES: Final = (("0", "1"), ("False", "True"), ("no", "yes"), ("No", "Yes"))


class TableError(DomainError):
    """Tables that can't be compared. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """What two tables came to.

    Attributes:
        content: ready for JSON; ``drift`` and ``classification`` as far as they were asked for.
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
    rule: Rule | None = None,
) -> TableReport:
    """Which columns drifted from one table to the other.

    Numbers are compared as numbers and all else as categories; what only one table has as numbers
    is a category too.

    Args:
        reference: what was.
        current: what is, with the same columns.
        target: column of the labels, judged by itself and no input; None where there is none.
        prediction: column of the predicted classes, likewise.
        rule: thresholds.

    Raises:
        TableError: the tables can't be compared.
    """
    found = _detect(reference, current, target, prediction, rule)
    return TableReport({"drift": _drift(found)}, lambda: page(found.widgets()))


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
    return TableReport(content, lambda: page(found.widgets()))


def combined_report(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    target: str,
    prediction: str,
    positive: object = None,
    rule: Rule | None = None,
) -> TableReport:
    """Both in one: see :func:`drift_report` and :func:`classification_report`.

    Raises:
        TableError: the tables can't be compared.
    """
    drifts = _detect(reference, current, target, prediction, rule)
    quality, chosen = _evaluate(reference, current, target, prediction, positive)
    content = {"drift": _drift(drifts), "classification": _classification(quality, chosen)}
    return TableReport(content, lambda: page([*drifts.widgets(), *quality.widgets()]))


def _detect(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    target: str | None,
    prediction: str | None,
    rule: Rule | None,
) -> Detection:
    special = {
        name: ours
        for name, ours in ((target, TARGET), (prediction, PREDICTION))
        if name is not None
    }
    _check(reference, current, special)
    if missing := sorted(map(str, {*reference} ^ {*current})):
        raise TableError(f"only one of the tables has these columns: {', '.join(missing)}")
    kinds: dict[str, ColumnKind] = {
        name: "numeric" if _is_number(reference[name]) and _is_number(current[name]) else "category"
        for name in map(str, reference)
        if name not in special
    }
    if not kinds:
        raise TableError("the tables have no columns beside target and prediction")

    def declared(frame: pd.DataFrame) -> pd.DataFrame:
        classes = {ours: _classes(frame[name]) for name, ours in special.items()}
        return declare(frame.assign(**classes), kinds)

    before, now = declared(reference), declared(current)
    return Detector(kinds, rule).detect(before, now)


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


def _check(reference: pd.DataFrame, current: pd.DataFrame, columns: dict[str, str]) -> None:
    for which, frame in (("reference", reference), ("current", current)):
        if frame.empty:
            raise TableError(f"the {which} table has no rows")
        if absent := [name for name in columns if name not in frame]:
            raise TableError(f"the {which} table has no column {', '.join(absent)}")


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _classes(values: pd.Series[Any]) -> pd.Series[Any]:
    """Classes as text; a class 1 is the same whether missing labels made it 1.0 or not."""
    return values.convert_dtypes().astype("string").astype(object).where(values.notna(), None)


def _drift(found: Detection) -> dict[str, Any]:
    scores = found.scores
    return {
        "share": scores.share,
        "columns": {column.column: column.to_dict() for column in scores.columns},
        "prediction": scores.prediction.to_dict() if scores.prediction.scores else None,
        "target": scores.target.to_dict() if scores.target else None,
    }


def _classification(found: Quality, positive: str | None) -> dict[str, Any]:
    return {"positive": positive, "reference": found.reference, "current": found.current}
