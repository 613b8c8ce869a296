"""The load plan: its arithmetic, its file, its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from testbed_load.errors import LoadError
from testbed_load.plan import (
    LabelPlan,
    LoadPhase,
    LoadPlan,
    Only,
    PhaseDrift,
    parse_plan,
    plan_text,
    read_plan,
    write_plan,
)


def plan(*phases: LoadPhase) -> LoadPlan:
    """A plan of these phases."""
    return LoadPlan(run_id="run-1", seed=7, use_case="diabetes", phases=phases)


NORMAL = LoadPhase("normal", 30.0, 50.0)
DRIFTED = LoadPhase("drifted", 12.0, 20.0, PhaseDrift("covariate_shift", 0.5))
PARTLY = [
    LoadPhase("men", 1.0, 1.0, PhaseDrift("scale", 0.5, Only("sex", equals="male"))),
    LoadPhase("warm", 1.0, 1.0, PhaseDrift("scale", 0.5, Only("celsius", above=-3.5))),
]


def document(changes: dict[str, Any]) -> dict[str, Any]:
    """A valid document with changes; a change to ... removes the field."""
    data = json.loads(plan_text(plan(NORMAL, DRIFTED))) | changes
    return {key: value for key, value in data.items() if value is not ...}


@pytest.mark.parametrize(("t", "name"), [(0.0, "normal"), (29.999, "normal"), (30.0, "drifted")])
def test_a_phase_holds_from_its_start_until_just_before_its_end(t: float, name: str) -> None:
    """Each instant belongs to one phase, and a boundary to the later one."""
    phase = plan(NORMAL, DRIFTED).phase_at(t)
    assert phase is not None
    assert phase.name == name


@pytest.mark.parametrize("t", [-0.001, 42.0, 1e9])
def test_outside_the_load_there_is_no_phase(t: float) -> None:
    """Before the start and from the end on nothing is planned."""
    assert plan(NORMAL, DRIFTED).phase_at(t) is None


def test_the_pool_of_users_fits_the_busiest_phase() -> None:
    """Two seconds of the highest rate fit into the pool."""
    assert plan(NORMAL, DRIFTED).users == 100


def test_the_pool_of_users_is_bounded_at_both_ends() -> None:
    """A slow rate has users enough to queue, a high one does not exhaust the machine."""
    assert [LoadPhase("p", 1.0, rate).pool for rate in (0.1, 5000.0)] == [10, 500]


@pytest.mark.parametrize(
    ("duration", "rate", "slots"), [(30.0, 50.0, 1500), (0.3, 10.0, 3), (1.0, 0.3, 1)]
)
def test_a_phase_plans_the_requests_that_are_due_before_its_end(
    duration: float, rate: float, slots: int
) -> None:
    """Float error plans no request at the very end of a phase."""
    assert LoadPhase("p", duration, rate).planned(1) == slots


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    """What is read is what was written."""
    written = replace(
        plan(*PARTLY, LoadPhase("burst", 2.0, 10.0, DRIFTED.drift, requests=20, users=4)),
        artefact=Path("model"),
        data=Path("rows.csv"),
        labels=LabelPlan(0.5, 2.0),
        timeout=3.0,
    )
    file = tmp_path / "config" / "plan.json"
    write_plan(file, written)
    assert read_plan(file) == written


def test_the_documented_plan_is_read() -> None:
    """The example of the architecture page is valid."""
    text = Path(__file__).parents[3].joinpath("docs", "architecture.md").read_text("utf-8")
    example = text.split("### Load plan")[1].split("```json")[1].split("```")[0]
    read = parse_plan(json.dumps(json.loads(example) | {"run_id": "r"}))
    assert read.phases == (LoadPhase("normal", 30.0, 50.0, PhaseDrift("covariate_shift", 1.0)),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": ...}, "seed is missing"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"schema_version": 2}, "schema_version must be 1, not 2"),
        ({"extra": 1}, "unknown field: extra"),
        ({"phases": []}, "phases needs at least 1"),
        ({"phases": {}}, "phases must be a list"),
        ({"phases": [3]}, r"phases\[0\] must be an object, not 3"),
        ({"run_id": "a b"}, "run_id must be"),
        ({"use_case": ""}, "use_case must be a text that is not empty"),
        ({"timeout": 0}, "timeout must be more than 0, not 0"),
        ({"labels": {"ratio": 1.5}}, r"labels.ratio must be at most 1, not 1.5"),
        ({"labels": {"delay": float("nan")}}, "labels.delay must be a finite number"),
        ({"labels": {"dealy": 1}}, "unknown field: labels.dealy"),
    ],
)
def test_a_broken_plan_is_refused_by_the_name_of_its_field(
    changes: dict[str, Any], message: str
) -> None:
    """One line says which field is wrong, and how."""
    with pytest.raises(LoadError, match=message):
        parse_plan(json.dumps(document(changes)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": "x"}, r"phases\[0\].rate must be a number, not 'x'"),
        ({"duration": 0}, r"phases\[0\].duration must be more than 0, not 0"),
        ({"requests": 0}, r"phases\[0\].requests must be 1 or more, not 0"),
        ({"drift": {"severity": 1}}, r"phases\[0\].drift.name is missing"),
        (
            {"drift": {"name": "scale", "severity": -1}},
            r"phases\[0\].drift.severity must be 0 or more, not -1",
        ),
        ({"drift": {"name": "scale", "only": {"equals": "a"}}}, r"drift.only.column is missing"),
        ({"drift": {"name": "scale", "only": {"column": "a"}}}, "either equals or above"),
        ({"rate": None}, "'normal' has no rate"),
        ({"requests": 5}, "only the last one may end by a number of requests"),
        ({"name": "drifted"}, "names must differ"),
        ({"colour": 1}, r"unknown field: phases\[0\].colour"),
    ],
)
def test_a_broken_phase_is_refused_by_the_name_of_its_field(
    change: dict[str, Any], message: str
) -> None:
    """The index of the phase is part of the name."""
    data = document({})
    data["phases"][0] |= change
    with pytest.raises(LoadError, match=message):
        parse_plan(json.dumps(data))


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"'])
def test_a_file_that_is_no_plan_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    """Half a file is an error of one line, not a traceback."""
    file = tmp_path / "plan.json"
    file.write_text(content)
    with pytest.raises(LoadError, match=r"plan\.json"):
        read_plan(file)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    """So is no file."""
    with pytest.raises(LoadError, match=r"absent\.json"):
        read_plan(tmp_path / "absent.json")
