"""Tables as people send them: read rightly or refused, and what is left out is named."""

from __future__ import annotations

import unicodedata
from csv import QUOTE_ALL, QUOTE_NONNUMERIC
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
from testbed_domain.tables.columnkinds import seconds
from testbed_drift.tables.pinning import retained_categories

from .table_place import clean_environment as clean_environment  # noqa: PLC0414 - a fixture
from .table_place import compare as compare  # noqa: PLC0414 - a fixture
from .table_place import csv_of, parquet_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .table_place import Compare

ROWS = 400


def _rows(seed: int, factor: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": (rng.gamma(2, 20_000, ROWS) * factor).round(2),
            "visits": rng.poisson(4, ROWS),
            "town": rng.choice(["Köln", "Orléans", "Rome"], ROWS),
        }
    )


def _text(content: str, ending: str = ".csv") -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        file = path.with_suffix(ending)
        file.write_bytes(content.encode())
        return file

    return write


def _drifted(found: dict[str, Any]) -> set[str]:
    return {name for name, column in found["columns"].items() if column["drifted"]}


AMOUNTS = {
    "dashes": lambda value: f"{value - 40_000:.2f}".replace("-", "\N{EN DASH}"),
    "currency and parentheses": lambda value: f"$({value:,.2f})",
    "full width": lambda value: f"{value:.2f}".translate(
        {**{ord("0") + n: chr(0xFF10 + n) for n in range(10)}, ord("."): "\uff0e"}
    ),
    "invisible marks": lambda value: f"\u200e{value:.2f}\u200b",
    "formula": lambda value: f'="{value:.2f}"',
    "apostrophe": lambda value: f"'{value:.2f}",
}


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.slow
def test_numbers_in_any_writing(compare: Compare, name: str) -> None:
    """They are compared: equal ones are equal, others drift."""
    written = [
        csv_of(frame.assign(amount=frame["amount"].map(AMOUNTS[name])))
        for frame in (_rows(1), _rows(2), _rows(2, 3.0))
    ]
    same, moved = (compare(written[0], other) for other in written[1:])
    assert same["kinds"]["amount"] == {"kind": "number"}
    assert (same["decision"], _drifted(same), _drifted(moved)) == ("NO_ACTION", set(), {"amount"})


def _when(seed: int, first: str = "2024-01-01") -> pd.Series[Any]:
    passed = np.random.default_rng(seed).random(ROWS) * 40 * 86_400
    return pd.Series(pd.Timestamp(first) + pd.to_timedelta(passed.astype(int), unit="s"))


TIMES = {
    "compact": lambda when: when.dt.strftime("%Y%m%d%H%M%S").astype(int),
    "minutes": lambda when: when.dt.strftime("%Y%m%d%H%M"),
    "basic": lambda when: when.dt.strftime("%Y%m%dT%H%M%SZ"),
    "C": lambda when: when.dt.strftime("%a %b %d %H:%M:%S %Y"),
    "Apache": lambda when: when.dt.strftime("%d/%b/%Y:%H:%M:%S +0000"),
    "JavaScript": lambda when: when.dt.strftime(
        "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"
    ),
    "Paris": lambda when: (when + pd.Timedelta(hours=1)).dt.strftime("%Y-%m-%d %H:%M:%S CET"),
    "hours": lambda when: when.dt.strftime("%Y-%m-%d %H"),
    "German": lambda when: when.dt.strftime("%d. %m. %Y"),
    "Excel": lambda when: (when - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1),
}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.slow
def test_times_in_any_writing(compare: Compare, name: str) -> None:
    """Dates of the reference are dates here, at the same times."""
    reference = parquet_of(_rows(1).assign(at=_when(3)))
    same, moved = (
        compare(reference, csv_of(_rows(2).assign(at=TIMES[name](when))))
        for when in (_when(4), _when(4, "2024-09-01"))
    )
    assert (_drifted(same), _drifted(moved)) == (set(), {"at"})


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_windows_by_dates_in_digits(form: str) -> None:
    """They lie in their own week, not in one of 1970 or 2611."""
    when = _when(1)
    written = when.dt.strftime(form)
    known = pd.to_datetime(written, format=form).astype("datetime64[s]").astype("int64")
    for column in (written, written.astype(int), written.astype(float)):
        assert np.allclose(seconds(column), known)


def test_no_end_does_not_hide_a_change(compare: Compare) -> None:
    """9999-12-31 in half of the rows; the other dates have moved by months."""

    def ended(seed: int, first: str) -> Callable[[Path], Path]:
        open_ = np.random.default_rng(seed).random(ROWS) < 0.5
        day = _when(seed, first).dt.strftime("%Y-%m-%d")
        return csv_of(_rows(seed).assign(until=day.mask(open_, "9999-12-31")))

    reference = ended(1, "2024-01-01")
    assert _drifted(compare(reference, ended(2, "2024-01-01"))) == set()
    assert _drifted(compare(reference, ended(2, "2024-09-01"))) == {"until"}


def test_the_same_letters_are_the_same(compare: Compare) -> None:
    """Composed or not, as bytes, with other line ends, after a comma and a space."""
    reference = _rows(1).assign(town=lambda rows: rows["town"] + "\nCentre")
    current = _rows(2).assign(town=lambda rows: rows["town"] + "\r\nCentre")
    for frame in (
        current.assign(town=current["town"].str.normalize("NFD")),
        current.assign(town=[town.encode() for town in current["town"]]),
    ):
        assert _drifted(compare(parquet_of(reference), parquet_of(frame))) == set()
    spaced = "".join(f'{row.amount}, {row.visits}, "{row.town}"\n' for row in _rows(2).itertuples())
    found = compare(csv_of(_rows(1)), _text(f"amount, visits, town\n{spaced}"))
    assert (_drifted(found), set(found["columns"])) == (set(), {"amount", "visits", "town"})


def test_text_of_whole_numbers_is_the_same_in_csv(compare: Compare) -> None:
    """``4.0`` as text in Parquet is ``4.0`` in CSV, and 4."""
    visits = [_rows(seed)["visits"].astype(float).astype(str) for seed in (1, 2)]
    reference = parquet_of(_rows(1).assign(visits=visits[0]))
    for current in (visits[1], _rows(2)["visits"]):
        assert _drifted(compare(reference, csv_of(_rows(2).assign(visits=current)))) == set()


@pytest.mark.parametrize(("false", "true"), [("no", "yes"), ("0.00", "1.00"), (False, True)])
def test_categorical_truths_are_truths(compare: Compare, false: object, true: object) -> None:
    """As pandas' categories, and as text with zeros."""
    retained = [np.random.default_rng(seed).random(ROWS) < 0.4 for seed in (1, 2)]
    values = pd.Series(retained[0]).map({True: true, False: false}).astype("category")
    found = compare(
        parquet_of(_rows(1).assign(member=values)), parquet_of(_rows(2).assign(member=retained[1]))
    )
    assert (found["kinds"]["member"]["kind"], _drifted(found)) == ("boolean", set())


def test_unix_times_as_text_are_no_ids(compare: Compare) -> None:
    """In Parquet, too, where text is meant as text."""
    at = [_when(seed).astype("datetime64[s]").astype("int64").astype(str) for seed in (1, 2)]
    found = compare(parquet_of(_rows(1).assign(at=at[0])), parquet_of(_rows(2).assign(at=at[1])))
    assert (found["kinds"]["at"]["kind"], _drifted(found)) == ("date", set())


def test_rare_categories_are_no_drift(compare: Compare) -> None:
    """Those in front of many rare ones were favoured by chance: they stand for (other)."""
    for seed in range(3):
        places = [np.random.default_rng(10 * seed + n).integers(0, 290, ROWS) for n in (1, 2)]
        frames = [_rows(n).assign(place=[f"p{one}" for one in places[n - 1]]) for n in (1, 2)]
        asked = ("--columns", "place,amount")
        assert _drifted(compare(csv_of(frames[0]), csv_of(frames[1]), *asked)) == set()


def test_how_many_categories_stand_for_themselves() -> None:
    """All of few; those that clearly come more often; at most 200."""
    assert retained_categories(np.array([5] * 200)) == 0
    assert retained_categories(np.array([5] * 200 + [1] * 100)) == 200
    poisson = np.sort(np.random.default_rng(1).poisson(3, 300))[::-1]
    assert 1 <= retained_categories(poisson) < 10


def test_what_is_beside_the_table_is_named(compare: Compare) -> None:
    """Comments above the header and rows that are cut off: a line of the result each."""
    plain = _rows(2).to_csv(index=False)
    found = compare(csv_of(_rows(1)), _text(f"# by night, by me\n# x\n{plain}1.5,3\n"))
    comments, short = found["notes"]
    assert "2 lines of comment above the header are left out" in comments
    assert "1 rows have fewer fields than the header" in short
    assert set(found["columns"]) == {"amount", "visits", "town"}
    hashed = _text("#" + _rows(1).to_csv(index=False))
    assert "#amount" in compare(hashed, hashed)["columns"]


def test_rows_are_never_cut_to_their_header(compare: Compare) -> None:
    """A title above the header: it is refused, in one line that says what to do."""
    titled = _text("Report\n\n" + _rows(2).to_csv(index=False))
    found = compare(titled, titled)
    assert (found["code"], found["outcome"]) == (2, "error")
    assert "more fields than its header, which is Report" in found["message"]
    titled = _text("Report,,\n" + _rows(2).to_csv(index=False))
    found = compare(titled, titled)
    assert (found["code"], found["outcome"]) == (2, "error")
    assert "names 1 of 3 columns: remove what stands above the header" in found["message"]


def test_one_column_that_may_be_many(compare: Compare) -> None:
    """A separator that nobody guesses: the line says which option names it."""
    colons = _text(_rows(2).to_csv(index=False, sep=":"))
    found = compare(csv_of(_rows(1)), colons)
    assert (found["code"], "with --sep" in found["message"]) == (2, True)
    assert compare(colons, colons, "--sep", ":")["code"] == 0


def test_names_are_the_same_in_any_file(compare: Compare) -> None:
    """Blanks around them and how their letters are composed count in no format."""
    reference, current = (_rows(seed).rename(columns={"town": "Größe"}) for seed in (1, 2))
    spaced = current.rename(columns=lambda name: f" {unicodedata.normalize('NFD', name)} ")
    found = compare(parquet_of(reference), parquet_of(spaced))
    assert (_drifted(found), set(found["columns"])) == (set(), {"amount", "visits", "Größe"})


@pytest.mark.parametrize("form", [QUOTE_ALL, QUOTE_NONNUMERIC])
def test_single_quotation_marks(compare: Compare, form: Literal[0, 1, 2, 3, 4, 5]) -> None:
    """As dumps of SQL write them: names and values are what stands between."""
    quoted = csv_of(
        _rows(2).assign(town=lambda rows: rows["town"] + ", c"), quoting=form, quotechar="'"
    )
    reference = parquet_of(_rows(1).assign(town=lambda rows: rows["town"] + ", c"))
    assert _drifted(compare(reference, quoted)) == set()


def test_a_table_saved_with_its_index_twice(compare: Compare) -> None:
    """Both columns label the rows."""

    def twice(frame: pd.DataFrame) -> Callable[[Path], Path]:
        return csv_of(frame.rename_axis("Unnamed: 0").reset_index(), index=True)

    found = compare(twice(_rows(1)), twice(_rows(2).set_index(np.arange(900, 900 + ROWS))))
    assert set(found["columns"]) == {"amount", "visits", "town"}
    assert set(found["left_out"]) == {"Unnamed: 0.1", "Unnamed: 0"}


def test_names_that_lie_about_the_file(compare: Compare) -> None:
    """A .tsv of commas, and a header with two marks of its encoding."""
    plain = _rows(1).to_csv(index=False)
    found = compare(_text(plain, ".tsv"), _text(f"\ufeff\ufeff{plain}"))
    assert set(found["columns"]) == {"amount", "visits", "town"}
    assert (found["left_out"], found["notes"]) == ({}, [])
