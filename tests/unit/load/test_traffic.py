"""The rows that are sent."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed_domain.errors import DomainError
from testbed_domain.featuretable import FeatureTable
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPhase, LoadPlan, Only, PhaseDrift
from testbed_load.traffic import BLOCK, TrafficSource, load_source, phase_rows, plan_rows

from tests.support.datafiles import DataFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.features import Row

NORMAL = LoadPhase("normal", 60.0, 50.0)
DRIFTED = LoadPhase("drifted", 60.0, 50.0, PhaseDrift("covariate_shift", 1.0))


@pytest.mark.parametrize("phase", [NORMAL, DRIFTED])
def test_equal_seeds_send_equal_rows(source: TrafficSource, phase: LoadPhase) -> None:
    """Row k of a phase is the same in every run, over more than one block."""
    first, again = (list(islice(phase_rows(phase, source, 4, 0), 2 * BLOCK + 3)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(("seed", "number"), [(5, 0), (4, 1)])
def test_another_seed_or_phase_sends_other_rows(
    source: TrafficSource, seed: int, number: int
) -> None:
    """Two phases of one plan do not repeat each other."""
    first = list(islice(phase_rows(NORMAL, source, 4, 0), 20))
    assert list(islice(phase_rows(NORMAL, source, seed, number), 20)) != first


def test_a_drift_changes_rows_and_not_which_rows_are_drawn(source: TrafficSource) -> None:
    """The drifted phase sends the normal phase's rows, shifted, with their true labels."""
    normal = list(islice(phase_rows(NORMAL, source, 4, 0), 50))
    drifted = list(islice(phase_rows(DRIFTED, source, 4, 0), 50))
    assert [label for _, label in drifted] == [label for _, label in normal]
    assert [row["level"] for row, _ in drifted] == [row["level"] for row, _ in normal]
    assert [row["size"] for row, _ in drifted] != [row["size"] for row, _ in normal]


@pytest.mark.parametrize(
    ("only", "drifts"),
    [
        (Only("kind", equals="b"), lambda row: row["kind"] == "b"),
        (Only("size", above=55.0), lambda row: float(row["size"] or 0) > 55),
    ],
)
def test_a_drift_of_some_rows_leaves_the_others(
    source: TrafficSource, only: Only, drifts: Callable[[Row], bool]
) -> None:
    """Which drift is asked of the row as it was drawn; each row keeps its place and its label."""
    phase = LoadPhase("d", 60.0, 50.0, PhaseDrift("covariate_shift", 1.0, only))
    normal = list(islice(phase_rows(NORMAL, source, 4, 0), 200))
    drifted = list(islice(phase_rows(phase, source, 4, 0), 200))
    assert [label for _, label in drifted] == [label for _, label in normal]
    moved = [a["size"] != b["size"] for (a, _), (b, _) in zip(normal, drifted, strict=True)]
    assert 0 < sum(moved) < 200
    assert not any(m and not drifts(row) for m, (row, _) in zip(moved, normal, strict=True))
    assert sum(moved) > 0.8 * sum(drifts(row) for row, _ in normal)


def test_rows_of_an_unknown_column_can_not_drift(source: TrafficSource) -> None:
    """The plan is refused before anything is sent."""
    only = Only("colour", equals="red")
    phase = LoadPhase("p", 1.0, 1.0, PhaseDrift("covariate_shift", 1.0, only))
    with pytest.raises(LoadError, match="'colour'"):
        plan_rows(LoadPlan("run", 1, "diabetes", (phase,)), source)


def test_a_plan_with_an_unknown_drift_is_refused_before_anything_is_sent(
    source: TrafficSource,
) -> None:
    """The first rows are drawn at once, so the error comes at once."""
    phase = LoadPhase("p", 1.0, 1.0, PhaseDrift("sideways"))
    with pytest.raises(LoadError, match="unknown drift"):
        plan_rows(LoadPlan("run", 1, "diabetes", (phase,)), source)


def test_priming_loses_no_row(source: TrafficSource) -> None:
    """Row 0 is still the first one."""
    (primed,) = plan_rows(LoadPlan("run", 4, "diabetes", (NORMAL,)), source)
    assert list(islice(primed, 5)) == list(islice(phase_rows(NORMAL, source, 4, 0), 5))


def test_without_an_artefact_the_use_case_generates_rows(patients: TrafficSource) -> None:
    """Every numeric column has statistics to drift by."""
    assert set(patients.statistics.columns) == set(patients.schema.names)
    row, label = patients.rows(1).draw(1)[0]
    assert tuple(row) == patients.schema.names
    assert label in patients.schema.classes


@pytest.mark.parametrize(
    ("name", "message"), [("iris", "give the artefact"), ("weather", "unknown use case")]
)
def test_a_use_case_without_rows_is_refused(name: str, message: str) -> None:
    """One line says what to do."""
    with pytest.raises(DomainError, match=message):
        load_source(None, name)


@pytest.mark.slow
def test_known_rows_are_asked_for_by_id(churn_file: DataFile, tmp_path: Path) -> None:
    """Known customers are sent as their ids, whose features are the row's; drifted ones are not."""
    options = TrainingOptions(5, 4, train_rows=300, test_rows=100, reference_rows=100)
    artefact = train(get_use_case("churn"), churn_file.path, 1, tmp_path / "model", options)
    source, table = load_source(artefact.path, "churn"), FeatureTable.of(artefact)
    assert table is not None
    for row, _ in islice(phase_rows(NORMAL, source, 4, 0), 50):
        asked = json.loads(source.requests.body(row))
        assert list(asked) == ["user_id"]
        assert table.get(asked["user_id"]) == row
    rows = [row for row, _ in islice(phase_rows(DRIFTED, source, 4, 0), 50)]
    assert [json.loads(source.requests.body(row)) for row in rows] == rows


def test_rows_without_ids_are_sent_as_they_are(source: TrafficSource) -> None:
    """Then a request holds all features."""
    row, _ = next(phase_rows(NORMAL, source, 4, 0))
    assert json.loads(source.requests.body(row)) == row
