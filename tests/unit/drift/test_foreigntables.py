"""Tables that other tools wrote, compared from the command line: the same rows, nothing dropped."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.cli import main

from .table_place import clean_environment as clean_environment  # noqa: PLC0414 - a fixture
from .table_place import compare as compare  # noqa: PLC0414 - a fixture
from .table_place import csv_of as _csv
from .table_place import parquet_of as _parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .table_place import Compare


def _rows(seed: int, rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": rng.gamma(2, 20, rows).round(2),
            "visits": rng.poisson(4, rows),
            "zip": rng.choice(["01067", "10115", "04109"], rows),
            "member": rng.random(rows) < 0.5,
            "since": rng.choice(pd.date_range("2020-01-01", periods=50), rows),
        }
    )


def _foreign(name: str) -> Callable[[Path], Path]:
    frame = _rows(2)
    epoch = frame["since"].astype("datetime64[ms]").astype("int64")
    return {
        "german": _csv(frame, sep=";", decimal=",", encoding="utf-16"),
        "thousands": _csv(frame.assign(amount=[f"€ {value:,.2f}" for value in frame.amount])),
        "truths": _csv(frame.assign(member=np.where(frame.member, "Y", "n"))),
        "numbers": _csv(frame.assign(member=frame.member.astype(float))),
        "epochs": _csv(frame.assign(since=epoch)),
        "days": _csv(frame.assign(since=frame.since.dt.strftime("%d.%m.%Y"))),
        "labels": _parquet(frame.sample(frac=1, random_state=1)),
        "integers": _parquet(frame.assign(zip=frame.zip.astype(int))),
        "short": _parquet(frame.astype({"amount": "float32"})),
        "marked": _csv(frame.astype({"visits": object}).replace({"visits": {0: "n/a"}})),
    }[name]


NAMES = [
    *("german", "thousands", "truths", "numbers", "epochs", "days", "labels", "integers", "short")
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [_csv, _parquet])
@pytest.mark.slow
def test_what_another_tool_wrote_is_the_same(
    compare: Compare, name: str, form: Callable[[pd.DataFrame], Callable[[Path], Path]]
) -> None:
    """All five columns are compared, by the reference's kinds, and none drifted."""
    found = compare(form(_rows(1)), _foreign(name))
    assert (found["code"], found["decision"]) == (0, "NO_ACTION")
    assert set(found["columns"]) == {"amount", "visits", "zip", "member", "since"}
    assert not any(column["drifted"] for column in found["columns"].values())
    assert {kind: one["kind"] for kind, one in found["kinds"].items()} == {
        "amount": "number",
        "visits": "number",
        "zip": "category",
        "member": "boolean",
        "since": "date",
    }
    assert not found["quality"]["unreadable"]


def test_rows_of_32_bits_are_the_same_rows(compare: Compare) -> None:
    """No value is out of the reference's range because it was rounded."""
    rates = pd.DataFrame({"rate": np.tile([0.1, 0.3, 1234567.89], 200), "b": np.arange(600) % 7})
    found = compare(_csv(rates), _parquet(rates.astype({"rate": "float32"})))
    assert found["columns"]["rate"]["score"] == 0
    assert found["quality"]["columns"]["rate"]["out_of_range"] == 0


@pytest.mark.parametrize("minimum", [2**40, 2**53, 2**60])
def test_large_numbers_close_to_each_other_differ(compare: Compare, minimum: int) -> None:
    """They all lie near one number of 32 bits, yet are of 64: a move is seen."""
    step = 1 if minimum < 2**50 else 1_000
    drawn = [np.random.default_rng(seed).integers(0, 1_000, 400) * step for seed in (1, 2)]
    tables = [
        pd.DataFrame({"z": [str(minimum + int(value)) for value in values]})
        for values in (*drawn, drawn[1] + 2_000 * step)
    ]
    same, moved = (compare(_csv(tables[0]), _csv(other)) for other in tables[1:])
    assert (same["columns"]["z"]["drifted"], moved["columns"]["z"]["drifted"]) == (False, True)


def test_row_labels_are_named_and_not_compared(compare: Compare) -> None:
    """Unless somebody asks for them by name."""
    labelled = _rows(1).set_index(pd.Index(np.arange(400) % 9, name="customer"))
    found = compare(_parquet(labelled), _parquet(_rows(2).assign(customer=1)))
    assert found["left_out"]["customer"] == "it labels the rows, as the index of pandas does"
    asked = compare(
        _parquet(labelled), _parquet(_rows(2).assign(customer=1)), "--columns", "customer"
    )
    assert asked["columns"]["customer"]["drifted"]


def test_numbers_but_for_a_few_ask_for_somebody(compare: Compare) -> None:
    """The others are compared, and the odd ones named: in the reference and in the window."""
    odd = _rows(1).astype({"amount": object})
    odd.loc[[5, 99], "amount"] = "#REF!"
    found = compare(_csv(odd), _csv(_rows(2)))
    assert (found["code"], found["decision"], found["causes"]) == (1, "ALERT", ["data"])
    assert not found["columns"]["amount"]["drifted"]
    assert found["kinds"]["amount"] == {"kind": "number", "unreadable": 2}
    assert found["quality"]["unreadable"] == {
        "amount": "2 values of the reference are not of kind number ('#REF!')"
    }
    found = compare(_csv(_rows(2)), _csv(odd))
    assert found["quality"]["unreadable"]["amount"] == "2 of 400 values are of another type"
    assert any("amount: 2 of 400" in reason for reason in found["reasons"])
    # A marker of a missing value is not odd.
    assert compare(_csv(_rows(1)), _csv(odd.replace("#REF!", "?")))["decision"] == "NO_ACTION"


def test_a_kind_can_be_said(compare: Compare) -> None:
    """Whole numbers that are codes are a category; what does not fit is refused."""
    found = compare(_csv(_rows(1)), _csv(_rows(2)), "--as", "visits=category")
    assert found["kinds"]["visits"]["kind"] == "category"
    for option, message in (
        ("visits=colour", "KIND is one of number, date, boolean, category"),
        ("cost=number", "--as names columns that are not compared: cost"),
        ("zip=date", "no value of the reference can be read so: zip=date"),
    ):
        assert main(["run", "--reference", "x.csv", "--current", "y.csv", "--as", option]) == 2
        if "KIND" not in message:
            found = compare(_csv(_rows(1)), _csv(_rows(2)), "--as", option)
            assert found["code"] == 2
            assert message in found["message"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sep", "ab"), "--sep 'ab' is not one character"),
        (("--decimal", "x"), "--decimal 'x' is neither"),
        (("--encoding", "klingon"), "--encoding 'klingon' is unknown"),
    ],
)
def test_options_of_reading_that_are_wrong(
    compare: Compare, options: tuple[str, ...], message: str
) -> None:
    """Exit code 2, and what to give."""
    found = compare(_csv(_rows(1)), _csv(_rows(2)), *options)
    assert (found["code"], message in found["message"]) == (2, True)


@pytest.mark.parametrize(
    ("target", "prediction"),
    [
        (lambda y: y, lambda p: p.astype(int)),
        (lambda y: np.where(y, "yes", "no"), lambda p: np.where(p, "T", "F")),
        (lambda y: y.astype(float), lambda p: np.where(p, "True", "false")),
    ],
)
@pytest.mark.parametrize("form", [_csv, _parquet])
def test_classes_are_the_same_in_any_form(
    compare: Compare,
    target: Callable[[Any], Any],
    prediction: Callable[[Any], Any],
    form: Callable[[pd.DataFrame], Callable[[Path], Path]],
) -> None:
    """A label true and a prediction 1 are right, and the forms may change between the tables."""
    rng = np.random.default_rng(1)
    labels = rng.random((2, 400)) < 0.4
    predicted = np.where(rng.random((2, 400)) < 0.9, labels, ~labels)
    before = _rows(1).assign(y=target(labels[0]), p=prediction(predicted[0]))
    now = _rows(2).assign(y=labels[1].astype(int), p=np.where(predicted[1], "Y", "N"))
    found = compare(form(before), _csv(now), "--target", "y", "--prediction", "p")
    accuracy = (labels[1] == predicted[1]).mean()
    assert found["performance"]["realised"]["accuracy"] == pytest.approx(accuracy)
    assert found["performance"]["reference"]["accuracy"] == pytest.approx(0.9, abs=0.05)
    assert not found["target_drift"]["drifted"]


def test_features_may_be_named_like_ours(compare: Compare) -> None:
    """The column is compared, and so is the prediction."""
    before, now = _rows(1).assign(p="a"), _rows(2).assign(p="a")
    before["predicted class"], now["predicted class"] = before["visits"], now["visits"] * 3
    found = compare(_csv(before), _csv(now), "--prediction", "p")
    assert found["columns"]["predicted class (feature)"]["drifted"]
    assert not found["prediction_drift"]["drifted"]


@pytest.mark.parametrize("end", [" -- all of them", ";", "; -- done;", " /* done */ ;\n"])
def test_queries_may_end_in_a_comment(tmp_path: Path, end: str) -> None:
    """What ends the query does not end the one that it is wrapped in; texts stay whole."""
    from testbed_drift.tables.sources import open_source  # noqa: PLC0415 - only here

    with sqlite3.connect(tmp_path / "t.db") as connection:
        _rows(1)[["amount"]].to_sql("t", connection, index=False)
    connection.close()
    query = f"SELECT amount, '--;' AS mark FROM t{end}"  # noqa: S608 - ours
    source = open_source("current", None, f"sqlite:///{tmp_path / 't.db'}", query)
    assert source.names() == ["amount", "mark"]
    assert source.read(["mark"])["mark"].unique().tolist() == ["--;"]


@pytest.mark.parametrize("third", ["maybe", 2, "unknown"])
def test_a_third_truth_is_of_another_type(compare: Compare, third: Any) -> None:  # noqa: ANN401 - of any type
    """It is no new category: the reference has truths, in whatever form."""
    odd = _rows(2).astype({"member": object})
    odd.loc[[5, 99], "member"] = third
    for form in (bool, int):
        before = _rows(1).astype({"member": form})
        before["member"] = (
            before["member"].map({1: "yes", 0: "no"}) if form is int else before.member
        )
        found = compare(_csv(before), _csv(odd))
        member = found["quality"]["columns"]["member"]
        assert (member["type_change"], member["new_category"]) == (0.005, 0)
        assert found["quality"]["unreadable"]["member"] == "2 of 400 values are of another type"
        assert found["decision"] == "ALERT"


@pytest.mark.parametrize("odd", ["n. v.", "#VALUE!", ">9000"])
@pytest.mark.parametrize("ratio", [0.03, 0.2])
@pytest.mark.slow
def test_numbers_in_text_are_not_taken_for_free_text(
    compare: Compare, odd: str, ratio: float
) -> None:
    """Also many odd values among them, and texts of Parquet: compared, and named."""
    amounts = (
        _rows(1)["amount"].astype(str).where(np.random.default_rng(3).random(400) > ratio, odd)
    )
    tripled = _rows(2).assign(amount=_rows(2).amount * 3)
    for write in (_csv, _parquet):
        found = compare(write(_rows(1).assign(amount=amounts)), write(tripled))
        assert found["columns"]["amount"]["drifted"]
        assert "amount" in found["quality"]["unreadable"]
        assert found["decision"] != "NO_ACTION"
    words = _rows(1).assign(amount=[f"{value} {seed}" for seed, value in enumerate(amounts)])
    assert "free text" in compare(_parquet(words), _parquet(words))["left_out"]["amount"]
    ids = _rows(1).assign(amount=np.random.default_rng(4).permutation(90000)[:400].astype(str))
    assert "it is an id" in compare(_parquet(ids), _parquet(ids))["left_out"]["amount"]


UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.slow
def test_times_are_the_same_in_any_unit(compare: Compare, unit: str) -> None:
    """As dates, text or numbers, in the reference or the current table."""
    epochs = {seed: _rows(seed).since.astype("datetime64[ns]").astype("int64") for seed in (1, 2)}
    for before in (epochs[1] // UNITS[unit], _rows(1).since):
        for now in (epochs[2] // 10**9, epochs[2] // UNITS[unit], _rows(2).since):
            found = compare(
                _csv(_rows(1).assign(since=before)), _parquet(_rows(2).assign(since=now))
            )
            assert found["kinds"]["since"]["kind"] == "date"
            assert not found["columns"]["since"]["drifted"]
            assert not found["quality"]["columns"]["since"]["out_of_range"]


def test_noise_of_calculations_is_no_drift(compare: Compare) -> None:
    """The last digits of a float, and those of 32 bits that were written as text."""
    rates = np.random.default_rng(1).choice([0.1, 0.3, 0.7, 1234567.89], 600)
    b = np.arange(600) % 7
    short = rates.astype("float32").astype("float64")
    plain = pd.DataFrame({"rate": rates, "b": b})
    for other in (rates + 1e-16, np.nextafter(rates, 9e9), rates * 3 / 3, short, short.round(10)):
        now = pd.DataFrame({"rate": other, "b": b})
        for sides in ((plain, now), (now, plain)):
            found = compare(*map(_csv, sides))
            assert found["columns"]["rate"]["score"] == 0
            assert found["quality"]["columns"]["rate"]["out_of_range"] == 0


def test_nested_columns_do_not_stop_the_others(compare: Compare) -> None:
    """Lists and objects are text: few different ones are categories, and a line says so."""
    nested: Any = {"tags": [[n % 3] for n in range(400)], "geo": [{"n": n} for n in range(400)]}
    tags = _rows(1).assign(**nested)
    found = compare(_parquet(tags), _parquet(tags))
    assert found["kinds"]["tags"] == {"kind": "category", "values": 3, "retained": 3}
    assert "free text" in found["left_out"]["geo"]
    assert "lists and objects are taken as text, in tags, geo" in found["said"]
