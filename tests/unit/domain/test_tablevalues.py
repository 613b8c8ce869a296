"""Values of foreign tables: numbers, dates and truths in every form, and files as they are met."""

from __future__ import annotations

import datetime as dt
import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from testbed_domain.tables import numbertext
from testbed_domain.tables.columnkinds import (
    days,
    kind_of,
    markers_in,
    numbers,
    seconds,
    spelled,
    texts,
    truths,
    without_markers,
)
from testbed_domain.tables.datetext import are_times
from testbed_domain.tables.files import FileSource
from testbed_domain.tables.numbertext import decimal_of_table, number
from testbed_domain.tables.reading import ReadOptions, SourceError

if TYPE_CHECKING:
    from pathlib import Path


def _column(*values: object) -> pd.Series[Any]:
    return pd.Series(list(values), dtype=object)


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234.50", 1234.5, None),
        ("1.234,50", None, 1234.5),
        ("€ 1.234,50", None, 1234.5),
        ("1 234,5", None, 1234.5),
        ("1\u202f234,5", None, 1234.5),
        ("1'234.5", 1234.5, None),
        ("1,23,456.78", 123456.78, None),
        ("1,234", 1234.0, 1.234),
        ("0,5", None, 0.5),
        ("12 %", 0.12, 0.12),
        ("7%", 0.07, 0.07),
        ("12 EUR", 12.0, 12.0),
        ("$1,000", 1000.0, 1.0),
        ("(12)", -12.0, -12.0),
        ("($5.50)", -5.5, None),
        ("12-", -12.0, -12.0),
        ("\u22125", -5.0, -5.0),
        ("1.5e3", 1500.0, None),
        ("--5", None, None),
        ("1.2.3", None, None),
        ("12.05.2024", None, None),
        ("1 2", None, None),
        ("12 apples", None, None),
    ],
)
def test_numbers_as_people_write_them(text: str, point: float | None, comma: float | None) -> None:
    """Grouping is strict, so that a date or a version is not a number."""
    assert (number(text, "."), number(text, ",")) == (point, comma)


def test_a_column_says_what_its_decimal_mark_is() -> None:
    """What one value leaves open another decides; a hint where none does."""
    assert numbers(_column("1,234", "1,5")).tolist() == [1.234, 1.5]
    assert numbers(_column("1,234", "1,234.5")).tolist() == [1234, 1234.5]
    assert numbers(_column("1,234", "12")).tolist() == [1234, 12]
    assert numbers(_column("1,234", "12"), hint=",").tolist() == [1.234, 12]
    assert numbers(_column("1.234", "12"), hint=",").tolist() == [1234, 12]
    assert numbers(_column("1.5", "12"), hint=",").tolist() == [1.5, 12]
    assert np.isnan(numbers(_column("1.5"), decimal=",")).all()


@pytest.mark.parametrize(
    ("values", "typed", "kind"),
    [
        (["1", "?", "-", "n/a"], False, "number"),
        ([1, 2, "?"], True, "number"),
        (["01067", "10115"], False, "category"),
        (["0.5", "01.5"], False, "number"),
        (["yes", "No"], True, "boolean"),
        (["Y", "N", "?"], False, "boolean"),
        (["N", "S"], True, "category"),
        (["31.12.2023", "01.02.2024 10:30"], True, "date"),
        (["12/31/2023", "1/2/2024"], True, "date"),
        (["1/2/2024"], True, "category"),
        (["1/31/24", "2/1/24"], True, "date"),
        (["31/01/24", "1/2/24", "2/2/24"], True, "date"),
        (["24/01/31", "24/02/01", "24/02/28"], True, "category"),
        (["2024.01.31", "2024.2.1"], True, "date"),
        (["9999-12-31", "0001-01-01"], True, "date"),
        ([*map(str, range(60)), "error"], False, "number"),
        ([*"1234", "error"] * 20, False, "category"),
        (["-", "?"], False, None),
    ],
)
def test_kinds_of_texts(values: list[Any], typed: bool, kind: str | None) -> None:  # noqa: FBT001 - a column
    """Markers say nothing, codes keep their zeros, and a few odd values don't hide numbers."""
    assert kind_of(pd.Series(values, dtype=object), typed=typed) == kind


def test_times_in_any_unit() -> None:
    """Dates of any year and unit, and Unix times in seconds to nanoseconds."""
    far = days(_column("9999-12-31T10:00:00.123456789", "2024-01-31", None, 5))
    assert far.tolist()[:2] == pytest.approx([2_932_896.4166681, 19_753])
    assert np.isnan(far[2:]).all()
    assert days(_column(dt.date(9999, 12, 31), dt.date(1, 1, 1))).tolist() == [2_932_896, -719_162]
    for unit in ("s", "ms", "us", "ns"):
        stamps = pd.Series(np.array(["2024-01-31", "NaT"], dtype=f"datetime64[{unit}]"))
        assert days(stamps).tolist() == pytest.approx([19_753, np.nan], nan_ok=True)
    for factor in (1, 10**3, 10**6, 10**9):
        moment = 1_700_000_000 * factor
        for column in (pd.Series([moment]), pd.Series([float(moment)]), _column(str(moment))):
            assert seconds(column).tolist() == [1_700_000_000]
        assert days(pd.Series([moment])).tolist() == pytest.approx([1_700_000_000 / 86_400])


def test_truths_and_whole_numbers_of_any_form() -> None:
    """Classes are written as the reference writes them; integers have no limit."""
    forms = _column(*["yes", "N", "t", 0, 1.0, True, "False", "1.0"])
    assert truths(forms).tolist() == [
        *("True", "False", "True", "False", "True", "True", "False", "True"),
    ]
    assert spelled(("no", "yes")) == {"False": "no", "True": "yes"}
    assert spelled(("N",)) == {"False": "N", "True": "Y"}
    assert spelled(("a", "1")) == {}
    assert texts(_column(2**70, 1.0, None)).tolist() == [str(2**70), "1", None]
    assert numbers(_column(2**70, 2**63, 1)).tolist() == [2.0**70, 2.0**63, 1]


def test_na_is_a_country_among_countries() -> None:
    """In CSV NA is a value among codes of two letters; a typed text is what it is."""
    assert markers_in(_column("DE", "NA", "FR"), typed=False) == ("NA",)
    assert markers_in(_column("low", "NA", "?"), typed=False) == ()
    assert markers_in(_column("low", "NA", None), typed=True) == ("NA",)
    assert without_markers(_column("1", " n/a ", "-")).tolist()[0] == "1"
    assert without_markers(_column("1", " n/a ", "-")).isna().tolist() == [False, True, True]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_found(tmp_path: Path, encoding: str, sep: str) -> None:
    """A table is the same however its text is written; a guess is said."""
    path = tmp_path / "t.csv"
    lines = [f"größe{sep}ort", *(f"{n}{sep}Köln" for n in range(60))]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    source = FileSource.of(path)
    assert source.names() == ["größe", "ort"]
    assert source.read(["ort"])["ort"].tolist() == ["Köln"] * 60
    assert bool(source.notes) is (encoding == "latin-1")


def test_options_win_over_what_is_found(tmp_path: Path) -> None:
    """Separator and encoding as they are said; a wrong one is refused."""
    path = tmp_path / "t.csv"
    path.write_bytes("a;b,c\n1;2,ä\n".encode("cp850"))
    source = FileSource.of(path, ReadOptions(sep=",", encoding="cp850"))
    assert source.read(["c"])["c"].tolist() == ["ä"]
    with pytest.raises(SourceError, match="--encoding"):
        FileSource.of(path, ReadOptions(encoding="utf-8")).names()


def test_labels_of_rows_are_known(tmp_path: Path) -> None:
    """An index of pandas, whatever wrote it, and what R writes without a name in the header."""
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index([7, 5, 6], name="customer"))
    frame.to_parquet(tmp_path / "named.parquet")
    frame.rename_axis(None).to_parquet(tmp_path / "plain.parquet")
    frame.set_index(["a"], append=True).assign(b=1).to_parquet(tmp_path / "two.parquet")
    frame.reset_index(drop=True).to_parquet(tmp_path / "range.parquet")
    frame.rename_axis(None).to_csv(tmp_path / "plain.csv")
    frame.rename_axis(None).to_excel(tmp_path / "plain.xlsx")
    (tmp_path / "r.csv").write_text("a b\n".replace(" ", ",") + "x,1,2\ny,3,4\n")
    (tmp_path / "ends.csv").write_text("a,b\n1,2,\n3,4,\n")
    found = {path.name: FileSource.of(path).labels() for path in tmp_path.iterdir()}
    assert found == {
        "named.parquet": ["customer"],
        "plain.parquet": ["__index_level_0__"],
        "two.parquet": ["customer", "a"],
        "range.parquet": [],
        "plain.csv": ["Unnamed: 0"],
        "plain.xlsx": ["Unnamed: 0"],
        "r.csv": ["Unnamed: 0"],
        "ends.csv": [],
    }
    assert FileSource.of(tmp_path / "named.parquet").read(["customer"])["customer"].tolist() == [
        *(7, 5, 6)
    ]
    assert FileSource.of(tmp_path / "r.csv").read(["b"])["b"].tolist() == ["2", "4"]
    assert FileSource.of(tmp_path / "ends.csv").read(["b"])["b"].tolist() == ["2", "4"]


def test_headers_that_repeat(tmp_path: Path) -> None:
    """Two columns of one name are refused, and a header among the rows is left out aloud."""
    path = tmp_path / "t.csv"
    path.write_text("a,a,b\n1,2,3\n")
    with pytest.raises(SourceError, match="columns twice: a; rename one"):
        FileSource.of(path).read(["a"])
    path.write_text("a,b\n1,2\na,b\n3,4\n")
    source = FileSource.of(path)
    assert source.read(["a"])["a"].tolist() == ["1", "3"]
    assert [*source.notes] == [f"{path}: 1 rows that repeat the header are left out"]
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(SourceError, match="cannot read"):
        FileSource.of(path).read(["a"])


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.jsonl.gz"])
@pytest.mark.parametrize("text", ['[{"a": "007"}, {"a": null}]', '{"a": "007"}\n{"b": 1}\n'])
def test_json_lines_and_arrays(tmp_path: Path, name: str, text: str) -> None:
    """Both forms, under any ending; texts stay texts, and integers of any size whole."""
    path = tmp_path / name
    content = text.replace("null", str(2**70)).encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = FileSource.of(path).read(["a"])["a"].tolist()
    assert found[0] == "007"
    assert found[1] == 2**70 or found[1] is None or pd.isna(found[1])
    path.write_bytes(gzip.compress(b"[1]") if name.endswith("gz") else b"[1]")
    with pytest.raises(SourceError, match="an object per row"):
        FileSource.of(path).names()


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31 22:05:00 UTC",
        "2024-01-31 23:05:00 +0100",
        "2024-01-31T23:05+01:00[Europe/Berlin]",
        "Wed, 31 Jan 2024 22:05:00 GMT",
        "31-JAN-24 22:05",
        "31 January 2024, 10:05 PM",
        "Jan. 31, 2024 10:05:00 p.m.",
        "31-01-2024 22:05:00.0000000",
        "31.01.24 22:05",
        "2024/1/31 22:05",
        "2024.1.31 22:05",
        "2024-1-31 22:05",
        "1/31/24 10:05 PM",
    ],
)
def test_dates_as_other_programs_write_them(text: str) -> None:
    """With the names of months, halves of days and zones; each is the same moment."""
    assert seconds(_column(text)).round(3).tolist() == [1706738700.0]
    assert kind_of(_column(text), typed=True) == "date"


def test_what_looks_like_a_date_and_is_none() -> None:
    """Impossible days, hours and months, and what leaves a doubt."""
    texts_ = ("2024-02-30", "2024-01-31 25:00", "31 Foo 2024", "13:05 PM", "1/2/2024", "1.12.3")
    for text in (*texts_, "24/01/31", "1/2/24", "2024-01-31 13:05 PM", "2024-01-31 later"):
        assert np.isnan(days(_column(text))).all(), text


def test_times_as_numbers() -> None:
    """Compact dates, and epochs beside 0 and -1 for never; other small numbers are no times."""
    assert days(pd.Series([20240131, 20240201, 0])).tolist()[:2] == [19753.0, 19754.0]
    assert days(pd.Series([86400 * 20000, 0.0]))[0] == 20000
    assert np.isnan(days(pd.Series([86400 * 20000, 12.0]))[1])
    spread: Any = np.arange(20) * 86400.0 + 1.7e9
    for unit in (1, 1e3, 1e6, 1e9):
        assert are_times(spread * unit)
        assert are_times(np.append(spread * unit, [0, -1, np.nan]))
    assert are_times(np.arange(20240101.0, 20240120))
    assert not are_times(np.arange(20240101.0, 20240150))
    near: Any = 2.0**60 + np.arange(20) * 1e5
    assert not are_times(near)  # all within milliseconds
    other: Any
    for other in (spread[:5], np.append(spread, 7), spread * 10, np.arange(1950.0, 2030)):
        assert not are_times(other)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("12:30", 12.5),
        ("00:45:00.0", 0.75),
        ("2 days 03:00:00", 51),
        ("-1 days +23:30:00", -0.5),
        ("5 days", 120),
        ("12:75", None),
        ("16:9", None),
        ("1:00:00:00", None),
    ],
)
def test_durations_are_numbers_of_days(text: str, hours: float | None) -> None:
    """As pandas writes those of Parquet into CSV."""
    found = number(text)
    assert found == (None if hours is None else pytest.approx(hours / 24))


def test_thousands_are_not_grouped_beside_an_exponent() -> None:
    """1,234e+09 has a decimal comma, whatever the table's other columns have."""
    assert numbers(_column("1,234e+09", "5e3"), hint=".").tolist() == [1.234e9, 5e3]
    assert number("1,234e3", ".") is None


def test_lists_and_objects_become_text(tmp_path: Path) -> None:
    """Equal ones are equal texts, in Parquet as in JSON, and a note names their columns."""
    rows = [{"id": n, "tags": ["a", "b"][: n % 3], "geo": {"y": 1, "x": [n]}} for n in range(4)]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    pd.DataFrame(rows).to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.parquet", "t.jsonl"):
        source = FileSource.of(tmp_path / name)
        frame = source.read(["id", "tags", "geo"])
        assert frame["tags"].tolist() == ["[]", '["a"]', '["a", "b"]', "[]"]
        assert frame["geo"].tolist()[1] == '{"x": [1], "y": 1}'
        assert list(source.notes) == [
            f"{tmp_path / name}: lists and objects are taken as text, in tags, geo"
        ]


@pytest.mark.parametrize("orient", ["split", "index", "columns", "table"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_of_columns_is_refused(tmp_path: Path, orient: Any, indent: Any) -> None:  # noqa: ANN401 - of pandas
    """It is no row; the message says what is read."""
    path = tmp_path / "t.json"
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}).to_json(path, orient=orient, indent=indent)
    with pytest.raises(SourceError, match="is one object of JSON: write an array of objects"):
        FileSource.of(path).read(["a"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_json_may_have_any_encoding(tmp_path: Path, encoding: str) -> None:
    """It is found out as that of CSV is; a guess is noted."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "Köln"}\n{"a": "Ulm"}\n', encoding=encoding)
    source = FileSource.of(path)
    assert source.read(source.names())["a"].tolist() == ["Köln", "Ulm"]
    assert bool(source.notes) is (encoding == "cp1252")


def test_names_that_only_an_index_has(tmp_path: Path) -> None:
    """In any format: leading ones that pandas made up, and its marks anywhere."""
    for names, labels in (
        (["Unnamed: 0.1", "Unnamed: 0", "a"], ["Unnamed: 0.1", "Unnamed: 0"]),
        (["a", "__index_level_0__"], ["__index_level_0__"]),
        (["a", "Unnamed: 1"], []),
        (["Unnamed: 0"], []),
        (["Unnamed: nobody", "a"], []),
    ):
        frame = pd.DataFrame([range(len(names))], columns=names)
        frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
        assert FileSource.of(tmp_path / "t.jsonl").labels() == labels


def test_blanks_around_names_do_not_count(tmp_path: Path) -> None:
    """Neither in the header nor where it is repeated; names that are then the same are refused."""
    path = tmp_path / "t.csv"
    path.write_text("\ufeff a , b\n1,2\n a , b\n3,4\n", encoding="utf-8")
    source = FileSource.of(path)
    assert source.names() == ["a", "b"]
    assert source.read(["a", "b"]).to_numpy().tolist() == [["1", "2"], ["3", "4"]]
    path.write_text("a, a\n1,2\n", encoding="utf-8")
    with pytest.raises(SourceError, match="has columns twice: a"):
        FileSource.of(path).read(["a"])


def test_a_stream_of_arrow(tmp_path: Path) -> None:
    """It has the ending of a file of Arrow and no mark of its own; the index is labels."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([7, 8], name="key"))
    table = pa.Table.from_pandas(frame)
    for opened in (pa.ipc.new_stream, pa.ipc.new_file):
        with opened(tmp_path / "t.arrow", table.schema) as writer:
            writer.write_table(table)
        source = FileSource.of(tmp_path / "t.arrow")
        assert (source.names(), source.labels()) == (["a", "b", "key"], ["key"])
        assert source.read(["b", "a"]).to_dict("list") == {"b": ["x", "y"], "a": [1, 2]}


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        (
            "t.csv",
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "it is compressed by gzip: call it .* t.csv.gz",
        ),
        ("t.csv", b"PAR1\0\0\0", "it is Parquet: call it so, for example t.parquet"),
        ("t.parquet", b"a,b\n1,2\n", "it is text: call it so, for example t.csv"),
        ("t.xlsx", b"a,b\n1,2\n", "it is text: call it so, for example t.csv"),
        ("t.csv", b"PK\x03\x04\0\0", "a zip archive or a workbook of Excel: call it so"),
        ("t.arrow", b"nothing\0", "t.arrow: .*[^;]*$"),
    ],
)
def test_what_a_file_is_in_truth(tmp_path: Path, name: str, content: bytes, hint: str) -> None:
    """One line, which says how to call it where its first bytes tell."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=hint) as caught:
        FileSource.of(tmp_path / name).names()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"a": 1}\n\n{"a": 2},\n', r"line 3 .*\(Extra data\): write one object per line"),
        ('{"a": 1}{"a": 2}\n', r"line 1 .*\(Extra data\): write one object per line"),
        ('["a"]\n[1]\n', r"by line 2 \(Extra data\): write one array of objects"),
    ],
)
def test_lines_that_are_no_rows_are_named(tmp_path: Path, text: str, wrong: str) -> None:
    """By their number in the file, with what to write instead."""
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(SourceError, match=wrong):
        FileSource.of(tmp_path / "t.jsonl").names()


def test_the_decimal_mark_of_a_wide_table_is_found_from_some_of_its_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their number has a bound; of a narrow table each column is looked at as if it were alone."""
    read: list[str] = []

    def counted(text: str, mark: str) -> float | None:
        read.append(text)
        return number(text, mark)

    monkeypatch.setattr(numbertext, "number", counted)
    column = _column(*(f"{n % 9 + 1}.{n:03},5" for n in range(900)))
    for columns, looked_at in ((2, 2 * 900), (300, 300 * 66)):
        read.clear()
        assert decimal_of_table([column] * columns) == ","
        assert len(read) == 3 * looked_at  # with each mark, and the better one once more
