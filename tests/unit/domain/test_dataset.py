"""Files: what is read, and what is said of each kind of bad file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from testbed_domain.dataset import DataError, parse, read_bundled, read_file
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.datafiles import DataFile

DIABETES = get_use_case("diabetes")
IRIS = get_use_case("iris")
HEADER = ",".join((*DIABETES.schema.names, "Outcome"))
ROW = "6,148,72,35,0,33.6,0.627,50"


def _lines(count: int = 24) -> list[str]:
    return [HEADER, *(f"{ROW},{number % 2}" for number in range(count))]


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[[list[str]], Path]:
    """Writes lines to a CSV file."""

    def write(lines: list[str]) -> Path:
        path = tmp_path / "data.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_reads_a_file_of_patients(diabetes_file: DataFile) -> None:
    """All 768 rows come with the schema's types, and the source names no folder."""
    data = read_file(DIABETES, diabetes_file.path)
    assert len(data.rows) == len(data.labels) == diabetes_file.rows == 768
    assert data.rows[0] == diabetes_file.first
    assert sum(label == 1 for label in data.labels) == diabetes_file.positives
    assert data.source["name"] == "diabetes.csv"


def test_parquet_and_other_column_names(tmp_path: Path) -> None:
    """A Parquet file with OpenML's names gives the same rows as the schema's names would."""
    names = [alias for alias in DIABETES.columns if alias != "class"]
    frame = pd.DataFrame([[6, 148, 72, 35, 0, 33.6, 0.627, 50]] * 20, columns=names)
    frame["class"] = ["tested_positive", "tested_negative"] * 10
    frame.to_parquet(tmp_path / "data.parquet")
    data = read_file(DIABETES, tmp_path / "data.parquet")
    assert list(data.rows[0]) == list(DIABETES.schema.names)
    assert data.labels[:2] == [1, 0]


def test_other_columns_are_ignored_and_a_byte_order_mark_is_read(
    csv_file: Callable[[list[str]], Path],
) -> None:
    """A file as spreadsheets save it, with a column too many, is read."""
    lines = _lines()
    path = csv_file([f"\ufeff{lines[0]},Note", *(f"{line},x" for line in lines[1:])])
    assert set(read_file(DIABETES, path).rows[0]) == set(DIABETES.schema.names)


def test_what_spreadsheets_write_gives_the_same_rows(tmp_path: Path) -> None:
    """Decimal commas, UTF-16, row labels, truths for classes and JSON: one reader for all."""
    frame = pd.read_csv(io.StringIO("\n".join(_lines())))
    wanted = parse(DIABETES, frame, "the table")
    german = tmp_path / "german.csv"
    frame.to_csv(german, index=False, sep=";", decimal=",", encoding="utf-16")
    frame.sample(frac=1, random_state=1).sort_index().to_parquet(tmp_path / "labels.parquet")
    frame.to_csv(tmp_path / "labels.csv")
    frame.to_json(tmp_path / "array.json", orient="records")
    truths = frame.assign(Outcome=frame["Outcome"] == 1)
    truths.to_csv(tmp_path / "truths.tsv", index=False, sep="\t")
    for path in sorted(tmp_path.iterdir()):
        found = read_file(DIABETES, path)
        assert (found.rows, found.labels) == wanted, path.name


def test_missing_columns_are_named(csv_file: Callable[[list[str]], Path]) -> None:
    """The error names the columns that are missing and those that are there."""
    with pytest.raises(DataError, match=r"lacks the columns Pregnancies, .*Outcome; it has a, b"):
        read_file(DIABETES, csv_file(["a,b", "1,2"]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("6,high,72,35,0,33.6,0.627,50,1", "column Glucose, data row 3: 'high' is not a number"),
        ("6,,72,35,0,33.6,0.627,50,1", "column Glucose, data row 3: nan is empty"),
        ("6,148,72,35,0,inf,0.627,50,1", "column BMI, data row 3: 'inf' lies outside 0 to 200"),
        ("6,148,72,35,-1,33,0.627,50,1", "column Insulin, data row 3: '-1' lies outside 0 to 5000"),
        ("6,148,72,35,0,33.6,0.627,5.5,1", "column Age, data row 3: '5.5' is not a whole number"),
        ("6,148,72,35,0,33.6,0.627,50,2", "column Outcome, data row 3: '2' is not one of"),
        ("6,148,72,35,0,33.6,0.627,50,", "column Outcome, data row 3: nan is not one of"),
    ],
)
def test_bad_values_name_column_and_row(
    csv_file: Callable[[list[str]], Path], row: str, message: str
) -> None:
    """A bad value is shown with its column and its row."""
    lines = _lines()
    lines[3] = row
    with pytest.raises(DataError) as caught:
        read_file(DIABETES, csv_file(lines))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_and_unreadable_files(tmp_path: Path, csv_file: Callable[[list[str]], Path]) -> None:
    """Files that are absent, empty, bare headers, binary, or of another kind are distinguished."""
    for lines, message in (([], "is empty"), ([HEADER], "has a header but no rows")):
        with pytest.raises(DataError, match=message):
            read_file(DIABETES, csv_file(lines))
    with pytest.raises(DataError, match="there is no file"):
        read_file(DIABETES, tmp_path / "absent.csv")
    other = tmp_path / "data.pickle"
    other.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"give one of \.csv, "):
        read_file(DIABETES, other)
    for name in ("binary.csv", "binary.parquet"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        with pytest.raises(DataError, match="cannot read"):
            read_file(DIABETES, tmp_path / name)


def test_a_class_with_too_few_rows(csv_file: Callable[[list[str]], Path]) -> None:
    """A class that cannot be in all three splits is refused before training."""
    lines = [HEADER, *(f"{ROW},0" for _ in range(50)), f"{ROW},1"]
    with pytest.raises(DataError, match="Outcome holds 1 in 1 rows; each of 0, 1 needs 10"):
        read_file(DIABETES, csv_file(lines))


def test_bundled_iris() -> None:
    """Iris comes from scikit-learn with species names."""
    data = read_bundled(IRIS)
    assert len(data.rows) == 150
    assert set(data.labels) == {"setosa", "versicolor", "virginica"}
    assert data.source["name"] == "sklearn.datasets.load_iris"
    with pytest.raises(DataError, match="no bundled data"):
        read_bundled(DIABETES)
