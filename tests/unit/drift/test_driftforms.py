"""What the drift job sees of each form: windows of a phase, as the load sends them, one by one."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.frames import declare, kinds_of
from testbed_load.forms import (
    DriftForm,
    GradualForm,
    RecurringForm,
    SeasonalForm,
    SuddenForm,
)
from testbed_load.plan import LoadPhase, PhaseDrift
from testbed_load.traffic import load_source, phase_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOWS, ROWS = 8, 500
SOURCE = load_source(None, "diabetes")
KINDS = kinds_of(SOURCE.schema)


def drifted_windows(name: str, form: DriftForm | None, seed: int) -> list[bool]:
    """Of 8 windows of 500 rows each, against 2,000: in which any column drifts."""
    phase = LoadPhase("p", 80.0, ROWS * WINDOWS / 80.0, PhaseDrift(name, 1.0, form=form))
    sent = list(islice(phase_rows(phase, SOURCE, seed, 0), ROWS * WINDOWS))
    detector = Detector(KINDS)
    return [
        bool(detector.detect(before(), frame(sent[at : at + ROWS])).scores.drifted_columns)
        for at in range(0, len(sent), ROWS)
    ]


@cache
def before() -> pd.DataFrame:
    """The 2,000 rows that windows are compared with."""
    return frame(SOURCE.rows(99).draw(2000))


def frame(rows: Sequence[tuple[Mapping[str, object], object]]) -> pd.DataFrame:
    """Rows with their labels in the place of predictions."""
    table = pd.DataFrame([row for row, _ in rows])
    return declare(table.assign(**{PREDICTION: [str(label) for _, label in rows]}), KINDS)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("form", "drifts"),
    [
        (None, [True] * 8),
        (SuddenForm(at=0.5), [False] * 4 + [True] * 4),
        (RecurringForm(cycles=2), [False] * 2 + [True] * 2 + [False] * 2 + [True] * 2),
    ],
)
def test_windows_follow_what_comes_at_once(
    form: DriftForm | None, drifts: list[bool], seed: int
) -> None:
    """Those in which rows drift, and those only; a recurring drift goes and comes back."""
    assert drifted_windows("covariate_shift", form, seed) == drifts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_gradual_drift_is_found_once_enough_rows_drift_and_stays(seed: int) -> None:
    """Not in the first window, of which 6 % drift; in each from the fourth on, of which 44 % do."""
    found = drifted_windows("covariate_shift", GradualForm(), seed)
    assert not found[0]
    assert all(found[3:])
    assert found == sorted(found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_season_is_found_at_its_height_and_gone_at_its_end(seed: int) -> None:
    """Of the first and the last window 5 % drift, of the middle ones 95 %."""
    found = drifted_windows("covariate_shift", SeasonalForm(), seed)
    assert not found[0]
    assert not found[-1]
    assert all(found[2:6])


@pytest.mark.parametrize("name", ["swapped_unit", "stuck_sensor"])
def test_what_happens_to_one_source_is_found_when_it_happens(name: str) -> None:
    """A form holds for every kind of drift."""
    assert drifted_windows(name, SuddenForm(at=0.5), 1) == [False] * 4 + [True] * 4
