"""Months as windows, and what is compared with what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from testbed_domain.artefact import Artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.flow.comparison import MONTH_ROWS, comparisons
from testbed_drift.flow.months import Month, MonthError, pairs
from testbed_drift.settings import DriftSettings

from tests.support import artefacts

if TYPE_CHECKING:
    from pathlib import Path


def _artefact(path: Path, version: str) -> Artefact:
    schema = FeatureSchema((Feature("size", "number", "A size."),), "good", (0, 1), 1)
    return artefacts.described(path, schema, version=version)


@pytest.mark.parametrize(
    ("text", "name", "days"), [("2024-02", "2024-02-29", 29), ("2023-12", "2023-12-31", 31)]
)
def test_month_is_a_span_named_after_its_last_day(text: str, name: str, days: int) -> None:
    """From the first day's midnight to the next month's, in UTC."""
    span = Month.parse(text).span
    start = datetime.fromisoformat(f"{text}-01T00:00:00+00:00").timestamp()
    assert (span.name, span.start, span.end) == (name, start, start + days * 86_400)


@pytest.mark.parametrize("text", ["", "2024", "2024-13", "2024-00", "2024-2", "0000-01", "feb"])
def test_what_is_no_month_is_refused(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(MonthError, match="write it as 2024-02"):
        Month.parse(text)


def test_last_whole_month() -> None:
    """A second into January it is December, and so it is at the end of January."""
    for moment in ("2024-01-01T00:00:01", "2024-01-31T23:59:59"):
        time = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
        assert str(Month.before(time)) == "2023-12"


def test_each_month_is_compared_with_the_one_before() -> None:
    """Oldest first, across the turn of a year."""
    found = pairs(Month.parse("2024-02"), 3, None)
    assert [(str(pair.reference), str(pair.current)) for pair in found] == [
        ("2023-11", "2023-12"),
        ("2023-12", "2024-01"),
        ("2024-01", "2024-02"),
    ]


def test_months_can_share_a_reference() -> None:
    """All are compared with the month that is named; it can't be one of them."""
    found = pairs(Month.parse("2024-02"), 2, Month.parse("2023-06"))
    assert {str(pair.reference) for pair in found} == {"2023-06"}
    with pytest.raises(MonthError, match="itself"):
        pairs(Month.parse("2024-02"), 2, Month.parse("2024-01"))


def test_calendar_has_a_beginning() -> None:
    """No month lies before the year 1."""
    with pytest.raises(MonthError, match="calendar"):
        Month.parse("0001-01").earlier(1)


def test_one_model_writes_into_the_folder_itself(tmp_path: Path) -> None:
    """Whole months with a report each, unless settings say otherwise."""
    settings = DriftSettings(log_url="sqlite://", artefact=tmp_path, output=tmp_path)
    months = pairs(Month.parse("2024-02"), 1, None)
    [found] = comparisons(settings, [_artefact(tmp_path / "a", "rf-1")], months)
    assert found.name == "rf-1: 2024-01-31 vs 2024-02-29"
    assert (found.settings.output, found.settings.artefact) == (tmp_path, tmp_path / "a")
    assert (found.settings.max_rows, found.settings.html) == (MONTH_ROWS, "always")
    wanted = DriftSettings(log_url="-", artefact=tmp_path, max_rows=300, html="never")
    [found] = comparisons(wanted, [_artefact(tmp_path, "rf-1")], months)
    assert (found.settings.max_rows, found.settings.html) == (300, "never")


def test_models_have_a_folder_each(tmp_path: Path) -> None:
    """Files are named after months only, so two models must not meet in one folder."""
    settings = DriftSettings(log_url="sqlite://", artefact=tmp_path, output=tmp_path)
    models = [_artefact(tmp_path / name, f"rf {name}") for name in "ab"]
    found = comparisons(settings, models, pairs(Month.parse("2024-02"), 2, None))
    assert [one.settings.output.name for one in found] == ["rf-a", "rf-a", "rf-b", "rf-b"]
    assert [one.model_version for one in found] == ["rf a", "rf a", "rf b", "rf b"]
