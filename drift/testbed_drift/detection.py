"""Scores from Evidently.

Importing it takes seconds, so only what runs a detection imports this module. Methods and
thresholds are pinned in every metric: Evidently's own choice changes with the size of the
reference.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from testbed_drift import scores
from testbed_drift.library import (
    ColumnType,
    DataDefinition,
    Dataset,
    Report,
    StatTest,
    ValueDrift,
    group_widget,
    register_stattest,
    render_widgets,
    table_data,
)
from testbed_drift.scores import ColumnDrift, ColumnKind, Comparison, DriftScores, Rule, Score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_drift.results import Table

MISSING_SUFFIX: Final = " (missing)"
# A statistic is chi-square distributed only where this many rows are expected in each cell.
MIN_EXPECTED: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """One comparison to ask Evidently for: a test and an effect size of one column of its data."""

    column: str
    test: Score
    effect: Score

    def metrics(self) -> list[Any]:
        return [
            ValueDrift(column=self.column, method=_METHODS[score.method], threshold=score.threshold)
            for score in (self.test, self.effect)
        ]

    def judge(self, values: Iterator[float]) -> Comparison:
        return Comparison(self.test.scored(next(values)), self.effect.scored(next(values)))


@dataclass(frozen=True, slots=True)
class Detection:
    """Result of one comparison of two windows.

    Attributes:
        scores: verdict per column.
        snapshot: Evidently's result, from which its report is rendered on demand.
    """

    scores: DriftScores
    snapshot: Any

    def metrics(self) -> list[dict[str, Any]]:
        """Evidently's metrics: name, configuration and value, safe for strict JSON."""
        return [
            {"name": item["metric_name"], "config": item["config"], "value": _finite(item["value"])}
            for item in self.snapshot.dict()["metrics"]
        ]

    def html(self, tables: Sequence[Table] = ()) -> str:
        """Evidently's report below a table of the verdicts: one page of about 4 MB, offline.

        Args:
            tables: what to show above it.
        """
        above = [
            table_data(title=table.title, column_names=table.header, data=table.rows)
            for table in tables
        ]
        return page([*above, *self.widgets()])

    def widgets(self) -> list[Any]:
        """The table of the verdicts, and Evidently's figures."""
        judged = (*self.scores.columns, self.scores.prediction, self.scores.target)
        table = table_data(
            title="Drift needs a significant test and a sufficient effect",
            column_names=("column", "method", "score", "threshold", "speaks for drift", "drifted"),
            data=[
                (
                    column.column,
                    score.method,
                    f"{score.value:.4g}",
                    f"{score.threshold:.4g}",
                    ("no", "yes")[score.exceeded],
                    ("no", "yes")[column.drifted],
                )
                for column in judged
                if column
                for score in column.scores
            ],
        )
        results = self.snapshot.metric_results.values()
        widgets = [widget for result in results for widget in result.get_widgets()]
        return [table, group_widget(title="", widgets=widgets)]


def page(widgets: Sequence[Any]) -> str:
    """Evidently's widgets as one page, which works offline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(render_widgets(list(widgets)))


class EvidentlyDetector:
    """Compares two windows column by column.

    Args:
        kinds: feature columns in the schema's order, with their kinds.
        rule: thresholds.
    """

    def __init__(self, kinds: Mapping[str, ColumnKind], rule: Rule | None = None) -> None:
        self._kinds = dict(kinds)
        self._rule = rule or Rule()

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> Detection:
        """Compare two windows.

        Args:
            reference: rows to compare with, as :func:`testbed_drift.frames.declare` makes them.
            current: rows to judge, made alike; neither may be empty. Where one of them holds no
                predictions, these are not compared.
        """
        before, now = self._with_missing(reference), self._with_missing(current)
        pairs = {name: self._feature_pairs(name, before, now) for name in self._kinds}
        predicted = before[scores.PREDICTION].count() and now[scores.PREDICTION].count()
        pairs[scores.PREDICTION] = [self._class_pair(scores.PREDICTION)] if predicted else []
        if min(before[scores.TARGET].count(), now[scores.TARGET].count()) >= self._rule.min_labels:
            pairs[scores.TARGET] = [self._class_pair(scores.TARGET)]
        snapshot = _run([pair for group in pairs.values() for pair in group], before, now)
        values = iter([float(item["value"]) for item in snapshot.dict()["metrics"]])
        verdicts = {
            name: ColumnDrift(name, tuple(pair.judge(values) for pair in group))
            for name, group in pairs.items()
        }
        target = verdicts.pop(scores.TARGET, None)
        prediction = verdicts.pop(scores.PREDICTION)
        return Detection(DriftScores(tuple(verdicts.values()), prediction, target), snapshot)

    def _with_missing(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One more column per feature that says where its value is missing.

        Evidently drops missing values without a word, and fails where nothing is left.
        """
        missing = frame[list(self._kinds)].isna().astype(str)
        return frame.join(missing.add_suffix(MISSING_SUFFIX))

    def _feature_pairs(self, name: str, before: pd.DataFrame, now: pd.DataFrame) -> list[_Pair]:
        """Values where both windows hold some; the missing share where either misses some."""
        alpha = self._rule.column_alpha(len(self._kinds))
        pairs = []
        if before[name].count() and now[name].count():
            if self._kinds[name] == "numeric":
                methods, effect = (scores.KS, scores.WASSERSTEIN), self._rule.numeric_effect
            else:
                methods = (scores.CHI_SQUARE, scores.TOTAL_VARIATION)
                effect = self._rule.category_effect
            pairs.append(_pair(name, methods, alpha, effect))
        if before[name].isna().any() or now[name].isna().any():
            methods = (scores.MISSING_TEST, scores.MISSING_SHARE)
            pairs.append(_pair(name + MISSING_SUFFIX, methods, alpha, self._rule.category_effect))
        return pairs

    def _class_pair(self, name: str) -> _Pair:
        methods = (scores.CHI_SQUARE, scores.TOTAL_VARIATION)
        return _pair(name, methods, self._rule.class_alpha, self._rule.category_effect)


def _pair(column: str, methods: tuple[str, str], alpha: float, effect: float) -> _Pair:
    test = Score(methods[0], math.nan, alpha, "p_value")
    return _Pair(column, test, Score(methods[1], math.nan, effect, "distance"))


def _run(pairs: Sequence[_Pair], before: pd.DataFrame, now: pd.DataFrame) -> Any:  # noqa: ANN401 - Evidently is untyped
    wanted = [pair.column for pair in pairs]
    numeric = [name for name in wanted if pd.api.types.is_numeric_dtype(before[name])]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in wanted if name not in numeric],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exact KS test falls back to its asymptotic form
        current, reference = (
            Dataset.from_pandas(frame[wanted], data_definition=definition)
            for frame in (now, before)
        )
        return Report([metric for pair in pairs for metric in pair.metrics()]).run(
            current, reference
        )


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _counts(reference: pd.Series[Any], current: pd.Series[Any]) -> np.ndarray:
    """Rows per category, ``[2, categories]``: reference, current."""
    counts = {"reference": reference.value_counts(), "current": current.value_counts()}
    return pd.DataFrame(counts).fillna(0).to_numpy(dtype=float).T


def _chi_square(
    reference: pd.Series[Any], current: pd.Series[Any], _type: object, threshold: float
) -> tuple[float, bool]:
    """Two-sample chi-square test of homogeneity, rare categories pooled.

    Evidently's own takes the reference for the exact truth, which gives false alarms in up to
    three of four windows, and its z-test knows two categories only.
    """
    counts = _counts(reference, current)
    rare = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum() < MIN_EXPECTED
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    p_value = float(chi2_contingency(pooled, correction=False).pvalue)
    return p_value, p_value <= threshold


def _total_variation(
    reference: pd.Series[Any], current: pd.Series[Any], _type: object, threshold: float
) -> tuple[float, bool]:
    """Half the summed difference of the categories' shares; Evidently's own gives a p-value."""
    counts = _counts(reference, current)
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return distance, distance >= threshold


def _register(name: str, title: str, test: Any) -> str:  # noqa: ANN401 - Evidently is untyped
    register_stattest(StatTest(name, title, [ColumnType.Categorical]), test)
    return name


_METHODS: Final = {
    scores.KS: "ks",
    scores.WASSERSTEIN: "wasserstein",
    scores.CHI_SQUARE: _register(scores.CHI_SQUARE, "two-sample chi-square p-value", _chi_square),
    scores.TOTAL_VARIATION: _register(
        scores.TOTAL_VARIATION, "total variation distance", _total_variation
    ),
    scores.MISSING_TEST: scores.CHI_SQUARE,
    scores.MISSING_SHARE: scores.TOTAL_VARIATION,
}
