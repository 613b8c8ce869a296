"""The named drifts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr
from testbed_domain.artefact import LabelledRow
from testbed_domain.features import Feature, FeatureSchema, Label, Row
from testbed_domain.sampling import Sampler
from testbed_load.columns import majority, numeric
from testbed_load.drifts import DRIFTS, apply, get_drift
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPhase, PhaseDrift
from testbed_load.statistics import CategoryStatistics, ColumnStatistics, reference_statistics
from testbed_load.traffic import TrafficSource, phase_rows

from tests.support.datafiles import DataFile

WINDOW = 500


def drifted(
    source: TrafficSource, name: str, severity: float, rows: int = 400
) -> tuple[list[Row], list[Row], list[Label], list[Label]]:
    """Rows before and after a drift, and their labels before and after."""
    before, labels = (list(part) for part in zip(*source.rows(3).draw(rows), strict=True))
    after, new_labels = apply(
        name,
        before,
        labels,
        severity=severity,
        schema=source.schema,
        statistics=source.statistics,
        rng=np.random.default_rng(5),
    )
    return before, after, labels, new_labels


def values(rows: Sequence[Row], name: str) -> list[float]:
    """The numbers of one column."""
    return [float(value) for row in rows if (value := row[name]) is not None]


def positives(labels: Sequence[Label]) -> float:
    """Share of the positive class."""
    return sum(label == 1 for label in labels) / len(labels)


def found_columns(source: TrafficSource, drift: PhaseDrift | None, seed: int = 1) -> list[str]:
    """Columns on which KS distinguishes a window of traffic from the reference, at 1 % over all."""
    rows = phase_rows(LoadPhase("p", 1.0, 1.0, drift), source, seed, 0)
    window = [next(rows)[0] for _ in range(WINDOW)]
    reference = [row for row, _ in source.rows(99).draw(2000)]
    columns = [feature.name for feature in numeric(source.schema)]
    return [
        name
        for name in columns
        if ks_2samp(values(reference, name), values(window, name)).pvalue < 0.01 / len(columns)
    ]


@pytest.fixture(scope="session")
def filed_patients(patients: TrafficSource, diabetes_file: DataFile) -> TrafficSource:
    """A file as a pool that traffic is drawn from with replacement."""
    pool: list[LabelledRow] = []
    with diabetes_file.path.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row: Row = {
                feature.name: int(line[feature.name])
                if feature.kind == "integer"
                else float(line[feature.name])
                for feature in patients.schema.features
            }
            pool.append((row, int(line["Outcome"])))

    def draws(seed: int) -> Sampler:
        rng = np.random.default_rng(seed)
        return Sampler(
            lambda n: [(dict(pool[i][0]), pool[i][1]) for i in rng.integers(len(pool), size=n)]
        )

    statistics = reference_statistics(patients.schema, [row for row, _ in pool])
    return TrafficSource(patients.schema, statistics, draws)


@pytest.mark.parametrize("name", DRIFTS)
def test_severity_0_changes_nothing(source: TrafficSource, name: str) -> None:
    """The identity, and yet copies that the caller may change."""
    before, after, labels, new_labels = drifted(source, name, 0.0)
    assert (after, new_labels) == (before, labels)
    assert after[0] is not before[0]


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_leaves_its_arguments_alone(source: TrafficSource, name: str) -> None:
    """The rows of the caller stay as they were drawn."""
    before = drifted(source, name, 1.0)[0]
    assert before == [row for row, _ in source.rows(3).draw(400)]


@pytest.mark.parametrize("name", DRIFTS)
def test_severity_1_changes_some_rows(source: TrafficSource, name: str) -> None:
    """No drift is a drift in name only: rows change, or labels where it is one of labels."""
    before, after, labels, new_labels = drifted(source, name, 1.0)
    assert (after != before) != DRIFTS[name].of_labels
    assert new_labels != labels or not DRIFTS[name].of_labels


@pytest.mark.parametrize("severity", [0.5, 1.0, 50.0])
@pytest.mark.parametrize("name", DRIFTS)
def test_a_drifted_row_is_still_valid(source: TrafficSource, name: str, severity: float) -> None:
    """Kinds, bounds, categories and missing values stay as the schema wants them."""
    for row in drifted(source, name, severity)[1]:
        assert tuple(row) == source.schema.names
        assert all(valid(feature, row) for feature in source.schema.features)


def valid(feature: Feature, row: Row) -> bool:
    """Whether a value is one that the feature allows."""
    value = row[feature.name]
    if value is None:
        return feature.nullable
    if feature.kind == "category":
        return feature.other or value in feature.categories
    kind = int if feature.kind == "integer" else float
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    return type(value) is kind and low <= value <= high


def test_a_covariate_shift_moves_means_by_sigmas_and_leaves_a_control(
    source: TrafficSource,
) -> None:
    """Half a sigma arrives on the stated columns, integers included, and on no other."""
    before, after, labels, new_labels = drifted(source, "covariate_shift", 0.5, rows=4000)
    moved = {feature.name for feature in majority(source.schema)}
    assert moved == {"count", "size", "age"}
    for feature in numeric(source.schema):
        change = np.mean(values(after, feature.name)) - np.mean(values(before, feature.name))
        statistics = source.statistics.columns[feature.name]
        assert isinstance(statistics, ColumnStatistics)
        expected = 0.5 * statistics.sigma if feature.name in moved else 0.0
        assert change == pytest.approx(expected, abs=0.05)
    assert new_labels == labels


def test_a_single_column_drift_leaves_all_others(source: TrafficSource) -> None:
    """The first numeric column alone differs."""
    before, after, _, _ = drifted(source, "single_column", 1.0)
    differs = {name for old, new in zip(before, after, strict=True) for name in old
               if old[name] != new[name]}  # fmt: skip
    assert differs == {"count"}


def test_values_go_missing_only_where_they_may(source: TrafficSource) -> None:
    """About three in ten of the nullable columns, none of the others."""
    after = drifted(source, "missing", 1.0, rows=4000)[1]
    ratio = {name: np.mean([row[name] is None for row in after]) for name in source.schema.names}
    assert ratio["kind"] == pytest.approx(0.3, abs=0.03)
    assert [ratio[name] for name in ("count", "size", "level")] == [0, 0, 0]


def test_a_label_shift_brings_whole_rows_of_the_positive_class(source: TrafficSource) -> None:
    """The positive rate rises towards 1, and each row keeps its own label."""
    before, after, labels, new_labels = drifted(source, "label_shift", 1.0, rows=4000)
    assert positives(labels) == pytest.approx(0.3, abs=0.03)
    assert positives(new_labels) == pytest.approx(0.65, abs=0.03)
    known = {(str(row), label) for row, label in zip(before, labels, strict=True)}
    assert {(str(row), label) for row, label in zip(after, new_labels, strict=True)} <= known


def columns(rows: Sequence[Row]) -> list[list[str]]:
    """The values of each column, in an order that no row has a part in."""
    return [sorted(str(row[name]) for row in rows) for name in rows[0]]


def test_a_concept_drift_deals_labels_out_anew(source: TrafficSource) -> None:
    """Half the labels change places, with as many of each class as before; no row changes."""
    before, after, labels, new_labels = drifted(source, "concept_drift", 1.0, rows=4000)
    assert after == before
    assert sorted(map(str, new_labels)) == sorted(map(str, labels))
    changed = np.mean([old != new for old, new in zip(labels, new_labels, strict=True)])
    # Of the half that is dealt out anew, 0.42 get the other class: 2 * 0.3 * 0.7.
    assert changed == pytest.approx(0.5 * 0.42, abs=0.03)


def test_a_concept_drift_needs_no_column_of_some_kind() -> None:
    """Labels can be dealt out wherever there are rows, whatever their columns are."""
    schema = FeatureSchema((Feature("x", "number", ""),), "y", ("a", "b", "c"))
    assert get_drift("concept_drift", schema).of_labels
    with pytest.raises(LoadError, match="'correlation_drift' finds no column"):
        get_drift("correlation_drift", schema)


def test_a_correlation_drift_leaves_every_column_alone_as_it_was(patients: TrafficSource) -> None:
    """At each label the same values in each column, and the labels; pairs no longer go together."""
    before, after, labels, new_labels = drifted(patients, "correlation_drift", 1.0, rows=4000)
    assert new_labels == labels
    for label in (0, 1):
        of_label = [
            [row for row, own in zip(rows, labels, strict=True) if own == label]
            for rows in (before, after)
        ]
        assert columns(of_label[0]) == columns(of_label[1])
    together = [
        spearmanr(values(rows, "Pregnancies"), values(rows, "Age")).statistic
        for rows in (before, after)
    ]
    assert together[0] > 0.5
    assert together[1] < 0.2


def test_a_weaker_correlation_drift_takes_a_share_of_the_rows(patients: TrafficSource) -> None:
    """At half the severity half of the rows stay whole."""
    before, after, _, _ = drifted(patients, "correlation_drift", 0.5, rows=4000)
    same = np.mean([old == new for old, new in zip(before, after, strict=True)])
    assert same == pytest.approx(0.5, abs=0.03)


def test_a_correlation_drift_takes_categories_apart() -> None:
    """Two categories that always agree, and miss together, agree by chance alone afterwards."""
    two = tuple(
        Feature(name, "category", "", categories=("a", "b"), nullable=True) for name in "xy"
    )
    schema = FeatureSchema(two, "t", (0, 1))
    rows: list[Row] = [{"x": value, "y": value} for value in ["a", "b", None, "a"] * 500]
    after, _ = apply(
        "correlation_drift", rows, [0] * 2000, severity=1.0, schema=schema,
        statistics=reference_statistics(schema, rows), rng=np.random.default_rng(1),
    )  # fmt: skip
    assert columns(after) == columns(rows)
    agree = np.mean([row["x"] == row["y"] for row in after])
    assert agree == pytest.approx(0.5**2 + 2 * 0.25**2, abs=0.04)


def test_an_unknown_drift_is_refused_with_the_known_ones(source: TrafficSource) -> None:
    """The message lists what there is."""
    with pytest.raises(LoadError, match="unknown drift 'sideways'; choose one of: category_shift"):
        drifted(source, "sideways", 1.0)


def test_a_drift_without_a_column_to_change_is_refused(patients: TrafficSource) -> None:
    """No value of the patients may be missing."""
    with pytest.raises(LoadError, match="'missing' finds no column"):
        drifted(patients, "missing", 1.0)


def numbers_source() -> tuple[FeatureSchema, list[Row], list[Label]]:
    """A regression's rows: x from 0 to 399, and a label that is 10 times it."""
    schema = FeatureSchema(
        (Feature("x", "number", ""), Feature("w", "number", "")), "y", (), task="regression"
    )
    rows: list[Row] = [{"x": float(number), "w": float(number % 7)} for number in range(400)]
    return schema, rows, [10.0 * number for number in range(400)]


@pytest.mark.parametrize("name", ["population_shift", "label_shift", "correlation_drift"])
def test_labels_that_are_numbers(name: str) -> None:
    """A population comes whole, from above the median; labels shift to the top quarter."""
    schema, rows, labels = numbers_source()
    statistics = reference_statistics(schema, rows, [str(label) for label in labels])
    drift: dict[str, Any] = {"schema": schema, "statistics": statistics}
    rng = np.random.default_rng(5)
    after, truths = apply(name, rows, labels, severity=1.0, rng=rng, **drift)
    numbers = np.array([row["x"] for row in after], float)
    true = np.array(truths, float)
    if name == "correlation_drift":
        assert (np.floor(numbers / 100) == np.floor(true / 1000)).all()
        assert (true != 10 * numbers).mean() > 0.9
        return
    assert (true == 10 * numbers).all()
    minimum = numbers.min() if name == "population_shift" else np.median(numbers)
    assert minimum >= (200 if name == "population_shift" else 250)


def test_a_population_shift_of_classes(source: TrafficSource) -> None:
    """Whole rows with a first number above the median take the place of half of the others."""
    before, after, labels, new_labels = drifted(source, "population_shift", 0.5, rows=2000)
    name = numeric(source.schema)[0].name
    statistics = source.statistics.columns[name]
    assert isinstance(statistics, ColumnStatistics)
    above = np.array(values(before, name)) > statistics.median
    changed = np.array([one != other for one, other in zip(before, after, strict=True)])
    assert not changed[above].any()
    assert changed[~above].mean() == pytest.approx(0.5, abs=0.06)
    pool = list(zip(before, labels, strict=True))
    assert all(pair in pool for pair in zip(after, new_labels, strict=True))


def test_a_population_shift_where_most_rows_have_the_largest_value() -> None:
    """Nothing lies above the median: rows at it are the upper ones, so the drift has an effect."""
    schema = FeatureSchema((Feature("x", "integer", ""),), "y", (0, 1))
    rows: list[Row] = [{"x": value} for value in (1, 2, 3, 3, 3) * 20]
    statistics = reference_statistics(schema, rows)
    drift: dict[str, Any] = {"schema": schema, "statistics": statistics}
    rng = np.random.default_rng(5)
    after, _ = apply("population_shift", rows, [0] * 100, severity=1.0, rng=rng, **drift)
    assert {row["x"] for row in after} == {3}


def test_statistics_of_a_column_do_not_count_missing_values() -> None:
    """Mean and population deviation of what is there."""
    schema = FeatureSchema((Feature("x", "number", "", nullable=True),), "y", (0, 1))
    found = reference_statistics(schema, [{"x": 1.0}, {"x": None}, {"x": 3.0}])
    assert found.columns["x"] == ColumnStatistics(2.0, 1.0, 2.0, 3.0)


def test_the_rarest_value_counts_those_that_never_came() -> None:
    """A known value without a row is the rarest of all."""
    kind = Feature("x", "category", "", categories=("a", "b", "c"), nullable=True)
    schema = FeatureSchema((kind,), "y", (0, 1))
    rows: list[Row] = [{"x": "a"}, {"x": "c"}, {"x": None}]
    assert reference_statistics(schema, rows).columns["x"] == CategoryStatistics("b")


@pytest.mark.parametrize("name", ["category_shift", "covariate_shift"])
def test_a_shift_moves_categories_to_their_rarest_value(source: TrafficSource, name: str) -> None:
    """Three in ten take the reference's rarest value, and what is missing stays missing."""
    before, after, labels, new_labels = drifted(source, name, 1.0, rows=4000)
    statistics = source.statistics.columns["kind"]
    assert isinstance(statistics, CategoryStatistics)
    rarest = statistics.rarest
    ratio = [np.mean([row["kind"] == rarest for row in rows]) for rows in (before, after)]
    assert ratio[1] - ratio[0] == pytest.approx(0.3 * (1 - ratio[0]), abs=0.03)
    numbers_stay = all(
        old[n] == new[n] for old, new in zip(before, after, strict=True) for n in ("count", "size")
    )
    assert numbers_stay == (name == "category_shift")
    assert new_labels == labels


def test_only_categories() -> None:
    """A schema without numbers still has a covariate shift and a single column to drift."""
    schema = FeatureSchema(
        tuple(Feature(n, "category", "", categories=("a", "b"), nullable=True) for n in "xyz"),
        "t",
        (0, 1),
    )
    rows: list[Row] = [{"x": "a", "y": "a", "z": None} for _ in range(400)]
    statistics = reference_statistics(schema, rows)
    for name, moved in (("covariate_shift", {"x", "y"}), ("single_column", {"x"})):
        after, _ = apply(
            name, rows, [0] * 400, severity=1.0, schema=schema, statistics=statistics,
            rng=np.random.default_rng(1),
        )  # fmt: skip
        assert {n for row in after for n in "xyz" if row[n] == "b"} == moved
        assert all(row["z"] is None for row in after)


@pytest.mark.parametrize("seed", range(5))
def test_ks_finds_a_covariate_shift_of_synthetic_patients(
    patients: TrafficSource, seed: int
) -> None:
    """500 rows against 2,000 drawn likewise: at least 30 % of the eight columns, and only then."""
    assert len(found_columns(patients, PhaseDrift("covariate_shift", 1.0), seed)) >= 0.3 * 8
    assert len(found_columns(patients, None, seed)) < 0.3 * 8


@pytest.mark.parametrize("seed", range(5))
def test_ks_finds_a_covariate_shift_of_a_file(filed_patients: TrafficSource, seed: int) -> None:
    """The same with traffic and reference drawn with replacement from the 768 rows of a file."""
    shift = PhaseDrift("covariate_shift", 1.0)
    assert len(found_columns(filed_patients, shift, seed)) >= 0.3 * 8
    assert len(found_columns(filed_patients, None, seed)) < 0.3 * 8


def test_another_unit_multiplies_one_column(source: TrafficSource) -> None:
    """The first that is no count; half as severe, in half of the rows."""
    before, after, *_ = drifted(source, "swapped_unit", 0.5)
    pairs = [(a["size"], b["size"]) for a, b in zip(before, after, strict=True)]
    swapped = [(a, b) for a, b in pairs if a != b]
    assert all(b == min(100.0, 2.20462 * float(a or 0)) for a, b in swapped)
    assert len(swapped) == pytest.approx(200, abs=50)
    for name in set(before[0]) - {"size"}:
        assert [row[name] for row in after] == [row[name] for row in before]


def test_a_stuck_sensor_gives_the_value_that_it_had_at_first(source: TrafficSource) -> None:
    """All the time, over the blocks in which rows are drawn; other columns go on."""
    phase = LoadPhase("p", 60.0, 50.0, PhaseDrift("stuck_sensor", column="age"))
    rows = phase_rows(phase, source, 4, 0)
    drawn = phase_rows(LoadPhase("p", 60.0, 50.0), source, 4, 0)
    pairs = [(next(rows)[0], next(drawn)[0]) for _ in range(2 * WINDOW)]
    first = next(row["age"] for _, row in pairs if row["age"] is not None)
    assert {row["age"] for row, _ in pairs} == {first}
    assert all({**row, "age": 0} == {**other, "age": 0} for row, other in pairs)


def test_a_new_category_is_none_that_the_model_knows(source: TrafficSource) -> None:
    """Three rows in ten have it, in a column that takes unknown values."""
    _, after, *_ = drifted(source, "new_category", 1.0, rows=4000)
    new = [row["shop"] for row in after if row["shop"] not in {"x", "y"}]
    assert set(new) == {"never seen before"}
    assert len(new) / 4000 == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("swapped_unit", "kind", "it can move one of: count, size, age, level"),
        ("new_category", "kind", "it can move one of: shop"),
        ("stuck_sensor", "colour", "it can move one of: count"),
        ("covariate_shift", "size", "it takes no column"),
    ],
)
def test_a_column_that_a_drift_can_not_move_is_refused(
    source: TrafficSource, name: str, column: str, message: str
) -> None:
    """The line says which ones it can."""
    with pytest.raises(LoadError, match=message):
        get_drift(name, source.schema, column)


def test_a_named_column_drifts_in_place_of_the_own(source: TrafficSource) -> None:
    """By one standard deviation, as the drift's own column would."""
    before, labels = (list(part) for part in zip(*source.rows(3).draw(400), strict=True))
    after, _ = apply(
        "single_column",
        before,
        labels,
        severity=1.0,
        schema=source.schema,
        statistics=source.statistics,
        rng=np.random.default_rng(5),
        column="level",
    )
    assert [row["count"] for row in after] == [row["count"] for row in before]
    shift = np.mean(values(after, "level")) - np.mean(values(before, "level"))
    assert shift == pytest.approx(2.0, abs=0.2)
