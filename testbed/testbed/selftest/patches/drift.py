"""Defects in the drift job: what it evaluates, and what it publishes of it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from testbed_drift.evaluation.decision import Action, decide
from testbed_drift.evaluation.detection import Detector
from testbed_drift.evaluation.points import Point
from testbed_drift.evaluation.results import RunResult
from testbed_drift.jobs import job
from testbed_drift.quality import numbers, outcomes, performance
from testbed_drift.rows.reading import WindowLog
from testbed_drift.scoring import limits
from testbed_drift.scoring.levels import CONCEPT
from testbed_drift.scoring.scores import ColumnScore, Comparison, DriftRule
from testbed_otel import names

from testbed.selftest.patches.tools import put, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _published(change: Callable[[Point], Point | None]) -> None:
    """Change, or leave out, points on their way to Prometheus; the record stays."""

    def points(original: Any, result: Any) -> Iterator[Point]:
        for point in original(result):
            changed = change(point)
            if changed is not None:
                yield changed

    wrap(RunResult, "points", points)


def ratio_constant() -> None:
    """The published share of drifted columns is always 0."""
    _published(
        lambda point: point._replace(value=0.0) if point.metric is names.DRIFT_RATIO else point
    )


def scores_unpublished() -> None:
    """Scores of columns are never published."""
    _published(lambda point: None if point.metric is names.DRIFT_COLUMN_SCORE else point)


def columns_renamed() -> None:
    """Published columns bear other names."""

    def change(point: Point) -> Point:
        if names.COLUMN not in point.attributes:
            return point
        other = f"column_{point.attributes[names.COLUMN]}"
        return point._replace(attributes={**point.attributes, names.COLUMN: other})

    _published(change)


def scores_halved() -> None:
    """Published scores of columns are half of what was found."""
    _published(
        lambda point: (
            point._replace(value=point.value / 2)
            if point.metric is names.DRIFT_COLUMN_SCORE
            else point
        )
    )


def decision_mild() -> None:
    """The published decision is always NO_ACTION."""

    def change(point: Point) -> Point:
        if point.metric is not names.DRIFT_DECISION:
            return point
        mild = point.attributes[names.DECISION] == str(Action.NO_ACTION)
        return point._replace(value=float(mild))

    _published(change)


def _effects(factor: float) -> None:
    """Multiply the effects from which a column drifted."""
    usual = DriftRule()
    altered = partial(
        DriftRule,
        numeric_effect=factor * usual.numeric_effect,
        category_effect=factor * usual.category_effect,
    )
    put(limits, "DriftRule", altered)


def effects_twice() -> None:
    """A column needs twice the effect to count as drifted."""
    _effects(2.0)


def effects_five_times() -> None:
    """A column needs five times the effect to count as drifted."""
    _effects(5.0)


def half_the_rows() -> None:
    """Only the older half of each window is evaluated."""

    def read(original: Any, log: Any, selection: Any) -> Any:
        if selection.start is not None and selection.end is not None:
            middle = (selection.start + selection.end) / 2
            selection = replace(selection, end=middle)
        elif selection.limit is not None:
            selection = replace(selection, limit=max(1, selection.limit // 2))
        return original(log, selection)

    wrap(WindowLog, "read", read)


def column_left_out() -> None:
    """The last column of the model is not evaluated."""

    def init(original: Any, detector: Any, kinds: Any, *arguments: Any, **options: Any) -> None:
        original(detector, dict(list(kinds.items())[:-1]), *arguments, **options)

    wrap(Detector, "__init__", init)


def accuracy_squared() -> None:
    """The job says another accuracy than its labels give."""
    original = performance.from_confusion

    def squared(*arguments: Any) -> dict[str, float]:
        found = original(*arguments)
        return {**found, "accuracy": found["accuracy"] ** 2}

    put(performance, "from_confusion", squared)


def mae_is_rmse() -> None:
    """The mean absolute error is the root mean square error."""

    def scores(original: Any, *arguments: Any) -> dict[str, float]:
        found = original(*arguments)
        return {**found, "mae": found["rmse"]}

    put(numbers, "_scores", partial(scores, numbers._scores))  # noqa: SLF001 - what it patches


def errors_swapped() -> None:
    """The mean absolute error is published as the root mean square error, and the reverse."""
    other = {"mae": "rmse", "rmse": "mae"}

    def change(point: Point) -> Point:
        if point.metric is not names.PERFORMANCE_SCORE:
            return point
        score = point.attributes[names.SCORE]
        return point._replace(attributes={**point.attributes, names.SCORE: other.get(score, score)})

    _published(change)


def residuals_ignored() -> None:
    """Residuals never drift, whatever they are."""

    def still(rows: str, *_: Any) -> Comparison:
        test = ColumnScore(f"{rows}_residuals_ks", 1.0, CONCEPT, "p_value")
        effect = ColumnScore(f"{rows}_residuals_wasserstein", 0.0, numbers.DISTANCE, "distance")
        return Comparison(test, effect)

    put(numbers, "_residual_drift", still)


def delays_in_milliseconds() -> None:
    """The delay of labels is in milliseconds."""

    def delayed(original: Any, columns: Any) -> Any:
        return 1000 * original(columns)

    put(outcomes, "delays", partial(delayed, outcomes.delays))


def never_decides() -> None:
    """Every decision is NO_ACTION, whatever the columns say."""
    original = decide

    def mild(*arguments: Any, **options: Any) -> Any:
        return replace(original(*arguments, **options), action=Action.NO_ACTION, causes=())

    put(job, "decide", mild)


def alert_limit_high() -> None:
    """The job is set to alert from 99 % of the columns on, and says so."""
    os.environ["TESTBED_DRIFT_ALERT_SHARE"] = "0.99"
    os.environ["TESTBED_DRIFT_RETRAIN_SHARE"] = "1"
