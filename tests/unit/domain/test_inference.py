"""Use cases that are inferred from any table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from testbed_domain.dataset import DataError, read_file
from testbed_domain.errors import DomainError
from testbed_domain.features import Feature
from testbed_domain.inference import MAXIMUM_CATEGORIES, infer_use_case
from testbed_domain.tables.reading import ReadOptions
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from pathlib import Path

N = 400


def _table() -> pd.DataFrame:
    """A column of every kind, and a target that hangs on two of them."""
    rng = np.random.default_rng(5)
    size = rng.normal(100, 10, N).round(2)
    colour = rng.choice(["red", "green", "blue"], N)
    city = np.where(rng.random(N) < 0.9, rng.choice(["Rome", "Oslo"], N), "")
    return pd.DataFrame(
        {
            "row": np.arange(N),
            "customer_id": rng.permutation(N) * 7,
            "name": [f"n{number}" for number in range(N)],
            "size": size,
            "count": rng.integers(0, 9, N),
            "debt": rng.integers(-50, 50, N),
            "colour": colour,
            "city": city,
            "street": [f"s{min(n, 40)}" for n in rng.geometric(0.12, N)],
            "nothing": [None] * N,
            "same": ["x"] * N,
            "bought": np.where((size > 100) ^ (colour == "red"), "yes", "no"),
        }
    )


def _column(feature: Feature) -> tuple[str, str, float | None, float | None, bool]:
    return feature.name, feature.kind, feature.minimum, feature.maximum, feature.nullable


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """The table as a CSV file."""
    _table().to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def test_kinds_ranges_and_categories(csv: Path) -> None:
    """Numbers with a margin, categories with their values, missing values where there are some."""
    schema = infer_use_case(csv, "bought")[0].schema
    table = _table()
    low, high = table["size"].min(), table["size"].max()
    assert [_column(feature) for feature in schema.features] == [
        ("size", "number", 2 * low - high if 2 * low > high else 0.0, 2 * high - low, False),
        ("count", "integer", 0.0, 16.0, False),
        ("debt", "integer", -149.0, 148.0, False),
        ("colour", "category", None, None, False),
        ("city", "category", None, None, True),
        ("street", "category", None, None, False),
    ]
    by_name = {feature.name: feature for feature in schema.features}
    assert by_name["colour"].categories == ("blue", "green", "red")
    assert by_name["city"].categories == ("Oslo", "Rome")
    assert (schema.classes, schema.positive_class) == (("no", "yes"), "yes")


def test_the_rest_of_many_categories_is_other(csv: Path) -> None:
    """The most frequent values have columns of their own, and any other is taken too."""
    street = infer_use_case(csv, "bought")[0].schema.features[-1]
    counts = _table()["street"].value_counts()
    assert len(counts) > MAXIMUM_CATEGORIES == len(street.categories)
    assert street.other
    assert set(counts.index[:5]) <= set(street.categories)


def test_what_is_left_out_is_reported_with_its_reason(csv: Path) -> None:
    """Ids, free text, and columns that say nothing."""
    left_out = dict(line.split(" is left out: ") for line in infer_use_case(csv, "bought")[1][1:])
    assert left_out == {
        "column row": "it is an id: whole numbers that differ in every row",
        "column customer_id": "it is an id: whole numbers that differ in every row",
        "column name": "it is an id or free text: 400 different values in 400 rows",
        "column nothing": "it is empty",
        "column same": "it holds one value only",
    }


def test_parquet_gives_the_same_schema(csv: Path, tmp_path: Path) -> None:
    """The types of a Parquet file change nothing, truth values and missing numbers included."""
    table = _table()
    table.to_parquet(tmp_path / "mine.parquet")
    schema = infer_use_case(tmp_path / "mine.parquet", "bought")[0].schema
    assert schema == infer_use_case(csv, "bought")[0].schema
    table["old"] = [True, False] * (N // 2)
    table["age"] = [30, None, 50, 40] * (N // 4)
    table.to_parquet(tmp_path / "more.parquet")
    use_case, _ = infer_use_case(tmp_path / "more.parquet", "bought")
    old, age = use_case.schema.features[-2:]
    assert (old.kind, old.categories) == ("category", ("False", "True"))
    assert (age.kind, age.nullable) == ("integer", True)
    rows = read_file(use_case, tmp_path / "more.parquet").rows
    assert [rows[0]["old"], rows[0]["age"], rows[1]["age"]] == ["True", 30, None]


def test_it_trains(csv: Path, tmp_path: Path) -> None:
    """The inferred use case learns what there is to learn, and its traffic comes from the file."""
    use_case, _ = infer_use_case(csv, "bought")
    artefact = train(use_case, csv, 0, tmp_path / "model", TrainingOptions(40, 8))
    assert artefact.use_case == "any"
    assert artefact.metrics["accuracy"] > 0.85
    assert not artefact.synthetic
    assert len(list(artefact.pool())) == artefact.splits["reference"]


def test_numeric_classes(tmp_path: Path) -> None:
    """Whole numbers stay numbers, and three classes have no positive one."""
    table = _table()
    table["bought"] = np.arange(N) % 3
    table.to_csv(tmp_path / "t.csv", index=False)
    schema = infer_use_case(tmp_path / "t.csv", "bought")[0].schema
    assert (schema.classes, schema.positive_class) == ((0, 1, 2), None)
    assert len(schema.kpis[0].costs) == 6


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("absent", "lacks the target column absent; it has row, customer_id"),
        ("same", "the target same holds 1 different values"),
        ("nothing", "the target nothing holds 0 different values"),
    ],
)
def test_bad_targets_are_reported(csv: Path, target: str, message: str) -> None:
    """One line names the file and what is wrong with the column."""
    with pytest.raises(DataError, match=message):
        infer_use_case(csv, target)


def test_a_number_of_many_values_is_a_regressions_target(csv: Path) -> None:
    """What is learnt is inferred and said, or as was asked for; both must be possible."""
    use_case, (inferred, *_) = infer_use_case(csv, "size")
    assert use_case.schema.regression
    assert use_case.schema.classes == ()
    assert inferred.startswith("the target size is learnt as a regression")
    assert infer_use_case(csv, "bought")[0].schema.task == "classification"
    with pytest.raises(DataError, match="different values; a classifier needs"):
        infer_use_case(csv, "size", "classification")
    with pytest.raises(DataError, match="target bought holds other values than numbers"):
        infer_use_case(csv, "bought", "regression")
    csv.write_text("x,y\n" + "".join(f"{number % 9},5\n" for number in range(50)))
    with pytest.raises(DataError, match="target y holds one value only"):
        infer_use_case(csv, "y", "regression")


def test_tables_without_anything_to_learn_from(tmp_path: Path) -> None:
    """No column, no row, no file."""
    _table()[["row", "bought"]].to_csv(tmp_path / "ids.csv", index=False)
    with pytest.raises(DataError, match="no column to learn from: column row is left out"):
        infer_use_case(tmp_path / "ids.csv", "bought")
    (tmp_path / "header.csv").write_text("a,bought\n")
    with pytest.raises(DataError, match="has a header but no rows"):
        infer_use_case(tmp_path / "header.csv", "bought")
    with pytest.raises(DataError, match="there is no file"):
        infer_use_case(tmp_path / "absent.csv", "bought")


def test_any_is_no_use_case_by_name() -> None:
    """Without a table there is none, and the message says what to give."""
    with pytest.raises(DomainError, match="give the file and its target column"):
        get_use_case("any")


def test_digits_that_begin_with_a_zero_are_a_code(tmp_path: Path) -> None:
    """A zip code is a category whose texts keep their zeros; 0, 0.5 and -0.5 are numbers."""
    table = _table()
    table["zip"] = np.where(np.arange(N) % 3 == 0, "01234", "80331")
    table["part"] = np.where(np.arange(N) % 3 == 0, "0", np.where(np.arange(N) % 2, "0.5", "-0.5"))
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    features = {
        feature.name: feature for feature in infer_use_case(path, "bought")[0].schema.features
    }
    assert features["zip"].categories == ("01234", "80331")
    assert features["part"].kind == "number"


def test_a_spreadsheet_s_table_gives_the_same_schema(tmp_path: Path) -> None:
    """Decimal commas and markers of missing values; what is odd is named, codes keep zeros."""
    table = _table().assign(spent=[n + 0.5 for n in range(N)], code=["007", "010"] * (N // 2))
    table.to_csv(tmp_path / "plain.csv", index=False)
    table.to_csv(tmp_path / "german.csv", index=False, sep=";", decimal=",", na_rep="n/a")
    schema, german = (
        infer_use_case(tmp_path / name, "bought")[0].schema for name in ("plain.csv", "german.csv")
    )
    assert schema == german
    kinds = {feature.name: feature.kind for feature in schema.features}
    assert (kinds["spent"], kinds["code"]) == ("number", "category")
    odd = table.astype({"spent": object})
    odd.loc[3, "spent"] = "#REF!"
    odd.to_csv(tmp_path / "odd.csv", index=False)
    _, *left_out = infer_use_case(tmp_path / "odd.csv", "bought")[1]
    assert f"column spent is left out: 1 of {N} values are not numbers ('#REF!'): " in " ".join(
        left_out
    )


def test_what_the_user_says_of_the_file(tmp_path: Path) -> None:
    """Separator, encoding, decimal mark and kinds that are said count, when rows are read too."""
    rng = np.random.default_rng(6)
    price = rng.integers(1000, 9000, N)
    frame = pd.DataFrame(
        {
            "preis": [f"{value / 1000:.3f}".replace(".", ",") for value in price],
            "filiale": rng.choice([101, 102, 205], N),
            "straße": rng.choice(["Gärten", "Höfe"], N),
            "kauf": np.where(price > 4000, "ja", "nein"),
        }
    )
    path = tmp_path / "de.csv"
    frame.to_csv(path, sep="#", index=False, encoding="cp850")
    options = ReadOptions.parse("#", ",", "cp850", ["filiale=category"])
    use_case, left_out = infer_use_case(path, "kauf", None, options)
    assert [line for line in left_out if "left out" in line] == []
    kinds = {feature.name: feature.kind for feature in use_case.schema.features}
    assert kinds == {"preis": "number", "filiale": "category", "straße": "category"}
    rows = read_file(use_case, path, options).rows
    assert [row["preis"] for row in rows] == [value / 1000 for value in price]
    assert {row["straße"] for row in rows} == {"Gärten", "Höfe"}
    model = train(
        use_case, path, 0, tmp_path / "model", TrainingOptions(20, 4, reading=options)
    ).schema
    assert model.features[1].categories == ("101", "102", "205")


def test_kinds_that_are_said_must_fit(csv: Path) -> None:
    """A column that is not there, or the target, is an error; values that don't fit are named."""
    for name in ("bought", "weight"):
        with pytest.raises(DataError, match=f"--as names columns that .* its target: {name};"):
            infer_use_case(csv, "bought", None, ReadOptions.parse(kinds=[f"{name}=category"]))
    said = ["colour=boolean", "city=number", "row=number", "name=date"]
    use_case, lines = infer_use_case(csv, "bought", None, ReadOptions.parse(kinds=said))
    assert "row" in use_case.schema.names
    left_out = dict(line.split(" is left out: ") for line in lines[1:])
    assert "'blue', which is neither true nor false" in left_out["column colour"]
    assert "values are not numbers ('" in left_out["column city"]
    assert left_out["column name"] == "it is a date, of which nothing is learned"


def test_a_flag_of_0_and_1_has_no_margin(tmp_path: Path) -> None:
    """Whatever form it has in the file; a truth that is written in words stays one of words."""
    rng = np.random.default_rng(7)
    flag = rng.random(N) < 0.3
    for number, values in enumerate((flag.astype(int), flag.astype(float), flag)):
        path = tmp_path / f"{number}.csv"
        pd.DataFrame({"flag": values, "t": rng.random(N) < 0.5}).to_csv(path, index=False)
        (feature,) = infer_use_case(path, "t")[0].schema.features
        assert feature.flag is (values is not flag)
        if feature.flag:
            assert _column(feature) == ("flag", "integer", 0, 1, False)
        else:
            assert feature.categories == ("False", "True")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_na_is_a_country_among_countries(tmp_path: Path, ending: str) -> None:
    """As the drift job has it; among other words it says nothing."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "country": rng.choice(["NA", "DE", "ZA"], N),
            "size": rng.choice(["NA", "small", "large"], N),
            "t": rng.random(N) < 0.5,
        }
    )
    path = tmp_path / f"t.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    use_case, _ = infer_use_case(path, "t")
    country, size = use_case.schema.features
    assert (country.categories, country.nullable) == (("DE", "NA", "ZA"), False)
    assert (size.categories, size.nullable) == (("large", "small"), True)
    rows = read_file(use_case, path).rows
    assert [row["country"] for row in rows] == frame["country"].tolist()


def test_what_is_left_out_on_reading_is_named(tmp_path: Path) -> None:
    """Row labels, comments, repeated headers: a line each, and none is learnt from."""
    rows = [f"{n},{n % 7},{'yes' if n % 3 else 'no'}" for n in range(60)]
    header = ",size,bought"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["# by night", header, *rows[:30], header, *rows[30:]]) + "\n")
    use_case, lines = infer_use_case(path, "bought")
    assert use_case.schema.names == ("size",)
    for part in ("comment above the header", "1 rows that repeat the header", "Unnamed: 0"):
        assert sum(part in line for line in lines) == 1, part
