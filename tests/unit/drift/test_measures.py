"""Scores from kept statistics are the values of Evidently's metrics, and of scipy."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rendering.overview import ranked
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.scoring.resampling import Resampler
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.scoring.statistics.base import Numbers
from testbed_drift.scoring.statistics.categories import (
    category_counts,
    chi_square,
    total_variation,
)
from testbed_drift.scoring.statistics.numbers import (
    KolmogorovSmirnov,
    NumberStatistic,
    distances,
    merge,
)
from testbed_drift.scoring.statistics.registry import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.rows.columns import ColumnKind

    Draw = Callable[[np.random.Generator, int], Any]

CLOSE = 1e-9


def _some_missing(values: Any, every: int) -> list[Any]:  # noqa: ANN401 - any sequence
    return [None if index % every == 0 else value for index, value in enumerate(values)]


NUMBERS: dict[str, Draw] = {
    "continuous": lambda rng, rows: rng.normal(0.1, 2, rows),
    "ties": lambda rng, rows: rng.poisson(3, rows),
    "two values": lambda rng, rows: rng.integers(0, 2, rows),
    "missing": lambda rng, rows: _some_missing(rng.normal(0, 1, rows), 7),
    "constant": lambda _rng, rows: [7.0] * rows,
    "its own constant": lambda _rng, rows: [float(rows)] * rows,
    "outliers": lambda rng, rows: rng.standard_cauchy(rows),
    "huge": lambda rng, rows: rng.normal(0, 1e90, rows),
    "infinite": lambda rng, rows: [*rng.normal(0, 1, rows - 2), math.inf, -math.inf],
    "nothing": lambda _rng, rows: [None] * rows,
}
CATEGORIES: dict[str, Draw] = {
    "few": lambda rng, rows: rng.choice(list("abcd"), rows),
    "many": lambda rng, rows: rng.zipf(1.5, rows).clip(0, 200),
    "very many": lambda rng, rows: rng.integers(0, 150, rows),
    "some missing": lambda rng, rows: _some_missing(rng.choice(list("ab"), rows), 5),
    "one": lambda _rng, rows: ["a"] * rows,
    "new": lambda _rng, rows: [f"of {rows}"] * rows,
}
KINDS: dict[str, ColumnKind] = {
    **dict.fromkeys(NUMBERS, "numeric"),
    **dict.fromkeys(CATEGORIES, "category"),
}


def _frame(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {name: draw(rng, rows) for name, draw in (NUMBERS | CATEGORIES).items()}
    columns[PREDICTION] = rng.choice(["0", "1"], rows)
    columns[TARGET] = _some_missing(rng.choice(["0", "1"], rows), 3)
    return declare(
        pd.DataFrame({name: pd.Series(c, dtype=object) for name, c in columns.items()}), KINDS
    )


@pytest.mark.parametrize(("before", "now"), [(700, 300), (400, 400), (900, 12_000)])
@pytest.mark.slow
def test_scores_are_the_values_of_evidently(before: int, now: int) -> None:
    """Of 18 kinds of column, all are in its report, and those of numbers are its own to 1e-9."""
    detection = Detector(KINDS).detect(_frame(before, 1), _frame(now, 2))
    found = detection.scores
    assert found.target
    ours = [score.value for column in ranked(found) for score in column.scores]
    theirs = [item["value"] for item in detection.metrics()]
    assert len(ours) == 2 * (len(KINDS) - 1 + 2 + 4)  # without "nothing"; four columns miss some
    assert ours == pytest.approx(theirs, rel=CLOSE, abs=CLOSE)
    assert {item["config"]["method"] for item in detection.metrics()} >= {"ks", "wasserstein"}


@pytest.mark.parametrize("rows", [(1, 1), (1, 50), (50, 1), (500, 77), (77, 500), (20_000, 3)])
def test_distances_are_those_of_scipy(rows: tuple[int, int]) -> None:
    """Of samples with ties, whichever is the longer."""
    rng = np.random.default_rng(3)
    before, now = (np.sort(rng.normal(0, 1, count).round(1)) for count in rows)
    distance, wasserstein = distances(*merge(before, now))
    assert distance == pytest.approx(ks_2samp(before, now).statistic, abs=CLOSE)
    assert wasserstein == pytest.approx(wasserstein_distance(before, now), abs=CLOSE)


def test_merged_samples_are_sorted_and_complete() -> None:
    """Values rise, counts rise by one row of one sample at each place, and none is lost."""
    rng = np.random.default_rng(4)
    before, now = (np.sort(rng.integers(0, 9, count).astype(float)) for count in (30, 20))
    values, of_before, of_now = merge(before, now)
    assert all(left <= right for left, right in pairwise(values))
    assert sorted(values) == sorted([*before, *now])
    assert (of_before + of_now == np.arange(1, 51)).all()
    assert (of_before[-1], of_now[-1]) == (30, 20)


class _Counted:
    """A sample that counts how often its values are read."""

    def __init__(self, values: Any) -> None:  # noqa: ANN401 - any sequence
        self._values = np.asarray(values, dtype=float)
        self.present = len(self._values)
        self.reads = 0

    @property
    def values(self) -> Any:  # noqa: ANN401 - an array
        """The values."""
        self.reads += 1
        return self._values


def test_exact_p_value_is_worked_out_once() -> None:
    """The same distance between samples of the same sizes needs the values only once."""
    rng = np.random.default_rng(5)
    before, now = _Counted(rng.normal(0, 1, 90)), _Counted(rng.normal(0, 1, 60))
    test = KolmogorovSmirnov()
    distance = float(ks_2samp(before._values, now._values).statistic)
    first = test.p_value(distance, before, now)
    assert first == ks_2samp(before._values, now._values).pvalue
    assert test.p_value(distance, before, now) == first
    assert (before.reads, now.reads) == (1, 1)


def test_asymptotic_p_value_needs_no_values() -> None:
    """Beyond 10,000 rows the p-value is scipy's, from sizes and distance alone."""
    rng = np.random.default_rng(6)
    before, now = _Counted(rng.normal(0, 1, 10_001)), _Counted(rng.normal(0.05, 1, 5000))
    expected = ks_2samp(before._values, now._values)
    found = KolmogorovSmirnov().p_value(float(expected.statistic), before, now)
    assert found == pytest.approx(expected.pvalue, rel=CLOSE)
    assert before.reads == now.reads == 0


def test_chi_square_pools_only_what_is_rare() -> None:
    """Without rare categories it is scipy's test; rare ones count as one."""
    common = np.array([[50.0, 30, 20], [20, 20, 60]])
    assert chi_square(common) == pytest.approx(chi2_contingency(common, correction=False).pvalue)
    rare = np.array([[50.0, 30, 1, 0, 2], [20, 20, 0, 1, 1]])
    pooled = np.array([[50.0, 30, 3], [20, 20, 2]])
    assert chi_square(rare) == pytest.approx(chi2_contingency(pooled, correction=False).pvalue)


def test_rare_categories_that_were_replaced_are_seen() -> None:
    """Pooled they are as many as before; copies could make such clumps by chance."""
    replaced = np.zeros((2, 200))
    replaced[0, :110], replaced[1, 90:] = 4, 4
    assert chi_square(replaced) < 1e-9
    assert chi_square(replaced, copies=True) > 0.1
    beside = np.hstack([replaced, [[500.0], [500.0]]])
    assert chi_square(beside) < 1e-9


def test_rare_categories_drift_as_seldom_as_they_should() -> None:
    """200 categories of which hardly any is expected five times, in windows without drift."""
    rng = np.random.default_rng(1)
    chances = rng.dirichlet(np.ones(200))
    drawn = [rng.multinomial(300, chances, 2).astype(float) for _ in range(1_000)]
    values = np.array([chi_square(counts[:, counts.any(axis=0)]) for counts in drawn])
    assert 0.02 < (values < 0.05).mean() < 0.08
    assert (values < 0.001).sum() <= 6


def test_total_variation_counts_new_categories() -> None:
    """Half of the rows in a category that the other sample lacks is a distance of a half."""
    before, now = pd.Series({"a": 10}), pd.Series({"a": 3, "b": 3})
    assert total_variation(category_counts(before, now)) == pytest.approx(0.5)


def test_scale_of_a_constant_is_the_least() -> None:
    """A constant has no standard deviation, an empty column neither."""
    assert Numbers.of(np.array([7.0, 7.0])).scale == 0.001
    assert Numbers.of(np.array([math.nan])).scale == 0.001
    assert Numbers.of(np.array([1.0, 3.0, math.nan])).scale == 1.0


class Largest(NumberStatistic):
    """Another statistic of numbers: whether the largest one moved."""

    test = "largest_test"
    effect = "largest_effect"

    def compare(self, before: Any, now: Any, witnesses: tuple[float, float]) -> tuple[float, float]:  # noqa: ANN401 - as its base says
        """Certain of it."""
        del before, now, witnesses
        return 0.0, 700.0

    def drawn(self, column: Any, before: Any, now: Any, minimum: float) -> float:  # noqa: ANN401 - the same
        """Certain of it, too."""
        del before, now, minimum
        return 0.0 if column.numeric else 1.0


def test_a_statistic_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is registered, detector and calibration take it; those that were there stay."""
    monkeypatch.setattr(STATISTICS, "_found", dict(STATISTICS))
    STATISTICS.register(Largest)
    kinds: dict[str, ColumnKind] = {"x": "numeric"}
    before, now = (
        declare(pd.DataFrame({"x": [*range(200), last]}), kinds) for last in (200.0, 900.0)
    )
    (column,) = Detector(kinds).detect(before, now).scores.columns
    assert [one.method for one in column.scores] == [
        "ks",
        "wasserstein",
        "largest_test",
        "largest_effect",
    ]
    assert column.leading
    assert (column.leading.method, column.leading.value) == ("largest_effect", 700.0)
    resampler = Resampler(before, kinds, DriftRule(), np.random.default_rng(1))
    assert resampler.quiet(100, 3).tolist() == [0.0, 0.0, 0.0]
