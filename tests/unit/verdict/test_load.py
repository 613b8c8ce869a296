"""The load itself: a plan that is not kept, wrong rows and drift that isn't there are its fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.checks.stages import Stage
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_load.forms import (
    DriftForm,
    GradualForm,
    RecurringForm,
    SeasonalForm,
    SuddenForm,
)
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, Only, PhaseDrift, write_plan

from .playedrun import PlayedRun, played_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.truth import Request
    from testbed_domain.artefact import Artefact

SMALL = TrainingOptions(trees=8, depth=5, train_rows=600, test_rows=200, reference_rows=1500)
USE_CASES = ("diabetes", "iris", "titanic", "progression")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact]:
    """Small models; read only. Iris is a data set, so its traffic is drawn from its reference."""
    root = tmp_path_factory.mktemp("load")
    return {name: train(get_use_case(name), None, 7, root / name, SMALL) for name in USE_CASES}


@pytest.fixture
def make(tmp_path: Path, artefacts: dict[str, Artefact]) -> Callable[..., PlayedRun]:
    """Makes a run that passes."""
    runs = Counter[str]()

    def made(
        use_case: str = "diabetes", drift: tuple[str, float] | None = None, requests: int = 1400
    ) -> PlayedRun:
        runs[use_case] += 1
        folder = tmp_path / f"{use_case}-{runs[use_case]}"
        return played_run(folder, artefacts[use_case], drift, requests)

    return made


def others(run: PlayedRun) -> set[str]:
    """Failed checks; all of them must blame the load."""
    failed = [each for each in run.check().values() if not each.passed]
    assert {each.stage for each in failed} <= {Stage.LOAD}
    return {each.name for each in failed}


def changed(plan: LoadPlan, drift: PhaseDrift | None) -> LoadPlan:
    """A plan with another drift in its second phase."""
    first, phase = plan.phases
    return replace(plan, phases=(first, replace(phase, drift=drift)))


CASES = [
    ("diabetes", None),
    ("diabetes", ("covariate_shift", 1.0)),
    ("diabetes", ("concept_drift", 1.0)),
    ("diabetes", ("correlation_drift", 0.5)),
    ("diabetes", ("scale", 0.25)),
    ("titanic", ("covariate_shift", 1.0)),
    ("titanic", ("category_shift", 1.0)),
    ("titanic", ("missing", 1.0)),
    ("titanic", ("swapped_unit", 0.5)),
    ("titanic", ("stuck_sensor", 0.5)),
    ("diabetes", ("stuck_sensor", 1.0)),
    ("titanic", ("single_column", 1.0)),
    ("titanic", ("label_shift", 1.0)),
    ("iris", ("label_shift", 1.0)),
    ("iris", ("correlation_drift", 1.0)),
    ("iris", None),
    ("titanic", ("population_shift", 1.0)),
    ("progression", None),
    ("progression", ("population_shift", 1.0)),
    ("progression", ("covariate_shift", 1.0)),
    ("progression", ("label_shift", 1.0)),
    ("progression", ("concept_drift", 1.0)),
    ("progression", ("correlation_drift", 1.0)),
]


@pytest.mark.parametrize(("use_case", "drift"), CASES)
@pytest.mark.slow
def test_what_was_planned_passes(
    make: Callable[..., PlayedRun], use_case: str, drift: tuple[str, float] | None
) -> None:
    """Every drift does what the verdict thinks that it does."""
    results = make(use_case, drift).check()
    assert [r.summary for r in results.values() if not r.passed or not r.applicable] == []


@pytest.mark.parametrize(("use_case", "drift"), [case for case in CASES if case[1] is not None])
@pytest.mark.parametrize("ratio", [0.0, 0.5])
@pytest.mark.slow
def test_a_drift_that_is_not_there_or_half_as_severe(
    make: Callable[..., PlayedRun], use_case: str, drift: tuple[str, float], ratio: float
) -> None:
    """By the truth's rows alone: the plan and the truth's own words say that all is well."""
    name, severity = drift
    run = make(use_case, drift)
    less = None if ratio == 0 else PhaseDrift(name, ratio * severity)
    run.send(changed(run.plan, drift=less))
    run.change_requests(lambda r: _said(r, drift))
    run.serve()
    failed = others(run)
    assert "load drift" in failed
    assert "load rows" in failed  # and its own code would have made other rows
    assert failed == {"load drift", "load rows"}


def _said(request: Request, drift: tuple[str, float]) -> Request:
    if request.phase != "second":
        return request
    return replace(request, drift=drift[0], severity=drift[1])


ONLY = [
    ("diabetes", Only("Age", above=37.0), Only("Age", above=30.0)),
    ("titanic", Only("Sex", equals="male"), None),
]


@pytest.mark.parametrize(("use_case", "only", "wrong"), ONLY)
@pytest.mark.slow
def test_a_drift_of_some_rows(
    make: Callable[..., PlayedRun],
    use_case: str,
    only: Only,
    wrong: Only | None,
) -> None:
    """Those that must drift do and the others don't, or the load is to blame, row by row."""
    run = make(use_case, ("covariate_shift", 0.5))
    right = changed(run.plan, PhaseDrift("covariate_shift", 0.5, only))
    run.scenario["phases"][1]["drift"]["only"] = {
        key: value for key, value in asdict(only).items() if value is not None
    }
    write_plan(run.layout.load_plan, right)
    run.send(right)
    run.serve()
    results = run.check()
    assert [r.summary for r in results.values() if not r.passed or not r.applicable] == []
    for drift in (PhaseDrift("covariate_shift", 0.5, wrong), None):
        run.send(changed(run.plan, drift))
        run.change_requests(lambda r: _said(r, ("covariate_shift", 0.5)))
        run.serve()
        assert others(run) == {"load drift", "load rows"}
    write_plan(run.layout.load_plan, run.plan)
    assert "rows that drift of phase second" in " ".join(run.failed().values())


FORMS = [
    ("diabetes", "covariate_shift", GradualForm(), RecurringForm(cycles=2)),
    ("iris", "label_shift", RecurringForm(cycles=3, width=0.3), GradualForm()),
    ("titanic", "correlation_drift", SeasonalForm(), None),
    ("diabetes", "concept_drift", SuddenForm(at=0.5), SuddenForm(at=0.4)),
]


@pytest.mark.parametrize(("use_case", "name", "form", "wrong"), FORMS)
@pytest.mark.slow
def test_a_drift_that_comes_and_goes(
    make: Callable[..., PlayedRun], use_case: str, name: str, form: DriftForm, wrong: DriftForm
) -> None:
    """Rows that drift at their time pass; at another one they are not what was planned."""
    run = make(use_case, (name, 1.0))
    right = changed(run.plan, PhaseDrift(name, 1.0, form=form))
    run.scenario["phases"][1]["drift"]["form"] = form.model_dump()
    write_plan(run.layout.load_plan, right)
    run.send(right)
    run.serve()
    results = run.check()
    assert [r.summary for r in results.values() if not r.passed or not r.applicable] == []
    honest = {request.seq: request for request in run.requests}
    run.send(changed(run.plan, PhaseDrift(name, 1.0, form=wrong)))
    run.serve()
    assert "load requests" in others(run)  # the truth itself says that others drift
    run.change_requests(
        lambda r: replace(r, drift=honest[r.seq].drift, severity=honest[r.seq].severity)
    )
    run.serve()
    assert others(run) == {"load drift", "load rows"}
    write_plan(run.layout.load_plan, run.plan)
    assert "form of the drift of phase second: the scenario says" in " ".join(run.failed().values())


def test_a_form_that_lets_too_many_rows_drift(
    make: Callable[..., PlayedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the verdict's own words, for load, plan and truth agree with one another."""
    run = make("diabetes", ("covariate_shift", 1.0))
    monkeypatch.setattr(GradualForm, "ratio", lambda _self, place: place**0.3)
    right = changed(run.plan, PhaseDrift("covariate_shift", 1.0, form=GradualForm()))
    run.scenario["phases"][1]["drift"]["form"] = {"kind": "gradual"}
    write_plan(run.layout.load_plan, right)
    run.send(right)
    run.serve()
    assert others(run) == {"load drift"}
    assert "share of the rows that drift is" in run.failed()["load drift"]


def test_a_named_column_is_part_of_the_plan(make: Callable[..., PlayedRun]) -> None:
    """It drifts in place of the drift's own, and another one is seen."""
    run = make("titanic", ("single_column", 1.0), 600)
    right = changed(run.plan, PhaseDrift("single_column", 1.0, column="Fare"))
    run.scenario["phases"][1]["drift"]["column"] = "Fare"
    write_plan(run.layout.load_plan, right)
    run.send(right)
    run.serve()
    assert run.failed() == {}
    write_plan(run.layout.load_plan, run.plan)
    assert "column that drifts of phase second: the scenario says Fare" in str(run.failed())


def test_statistics_alone_see_a_drift_that_is_not_there(make: Callable[..., PlayedRun]) -> None:
    """The summary says how far the worst column is, and what was expected."""
    run = make("diabetes", ("covariate_shift", 1.0))
    run.send(changed(run.plan, drift=None))
    run.change_requests(lambda r: _said(r, ("covariate_shift", 1.0)))
    run.serve()
    summary = run.failed()["load drift"]
    assert summary.startswith("phase second was to have covariate_shift at severity 1, but ")
    assert " standard deviations, expected " in summary
    assert "and 5 others differ" in summary


def test_a_control_column_that_moves(make: Callable[..., PlayedRun]) -> None:
    """It should have stayed: the column is named."""
    run = make("diabetes", ("covariate_shift", 1.0))

    def moved(request: Request) -> Request:
        age = request.features["Age"]
        assert isinstance(age, int)
        return replace(request, features={**request.features, "Age": min(150, 2 * age)})

    run.change_requests(moved)
    run.serve()
    assert "Age" in run.failed()["load drift"]
    assert "column Age is not the one of the plan in 100 %" in run.failed()["load rows"]


def test_a_truth_of_zeros(make: Callable[..., PlayedRun]) -> None:
    """Every label is the first class."""
    run = make()
    run.change_requests(lambda r: replace(r, label=0))
    run.serve()
    assert others(run) == {"load rows", "load drift"}
    assert "label 0: share of the rows is 1, expected" in run.failed()["load drift"]


def test_labels_that_are_shuffled_in_a_tenth_of_the_rows(make: Callable[..., PlayedRun]) -> None:
    """No rate moves, but each row has the label that was drawn with it."""
    run = make()
    chosen = list(range(0, len(run.requests), 10))
    labels = [run.requests[place].label for place in chosen]
    labels = labels[1:] + labels[:1]
    for place, label in zip(chosen, labels, strict=True):
        run.requests[place] = replace(run.requests[place], label=label)
    run.serve()
    assert others(run) == {"load rows", "load drift"}
    assert "labels differ from the drawn rows, not as the drift says" in run.failed()["load drift"]


def test_another_plan_than_the_scenarios(make: Callable[..., PlayedRun]) -> None:
    """Half the severity in the plan: the load did as it was asked, and that is named first."""
    run = make("diabetes", ("covariate_shift", 1.0))
    plan = changed(run.plan, drift=PhaseDrift("covariate_shift", 0.5))
    write_plan(run.layout.load_plan, plan)
    run.send(plan)
    run.serve()
    failed = others(run)
    assert {"load plan", "load requests", "load drift"} == failed
    assert run.failed()["load plan"] == (
        "the load was given another plan than the scenario's: severity of phase second: "
        "the scenario says 1, the load's plan 0.5"
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seed": 4}, "seed: the scenario says 3, the load's plan 4"),
        ({"labels": LabelPlan(0.5, 1.0)}, "share of labels: the scenario says 1"),
        ({"labels": LabelPlan(1.0, 2.0)}, "delay of labels: the scenario says 1"),
        ({"phases": (LoadPhase("first", 20.0, 50.0),)}, "phases: the scenario says first, second"),
    ],
)
def test_each_difference_of_the_plan_is_said(
    make: Callable[..., PlayedRun], change: dict[str, Any], line: str
) -> None:
    """One line each."""
    run = make(requests=200)
    write_plan(run.layout.load_plan, replace(run.plan, **change))
    assert run.check()["load plan"].details[0].startswith(line)


def test_fewer_requests_than_planned(make: Callable[..., PlayedRun]) -> None:
    """8 % less in one phase, and not a word about the others."""
    run = make()
    run.requests = [r for r in run.requests if r.seq < 1320]
    run.serve()
    results = run.check()
    assert results["load requests"].summary == (
        "the load sent 1,320 of 1,400 planned requests and says nothing of the others"
    )
    assert results["load requests"].details == (
        "phase second: 620 of 700 planned requests were sent",
    )
    run.missed = 80
    results = run.check()
    assert results["load requests"].passed
    assert results["load requests"].summary.endswith(
        "80 were not, because the service or the machine was too slow"
    )


def test_numbers_with_gaps_and_doubles(make: Callable[..., PlayedRun]) -> None:
    """Counts alone would agree."""
    run = make(requests=200)
    run.requests[50] = replace(run.requests[50], seq=49, request_id="run-1-49")
    details = run.check()["load requests"].details
    assert any("number 50 in phase first was never sent" in line for line in details)
    assert any("run-1-49: number 49 in phase first" in line for line in details)


def test_bursts_are_not_the_planned_rate(make: Callable[..., PlayedRun]) -> None:
    """Planned times are those of the rate, and requests follow them."""
    run = make(requests=400)

    def burst(request: Request) -> Request:
        due = 3.0 * (request.scheduled_at // 3.0)
        return replace(request, scheduled_at=due)

    honest = list(run.requests)
    run.change_requests(burst)
    assert "planned for another time than the rate" in run.failed()["load requests"]
    run.requests = [replace(r, sent_at=r.sent_at + 0.4) for r in honest]
    assert run.failed()["load pace"].startswith("half of the requests were sent within 0.401 s")
    run.requests = [replace(r, sent_at=r.sent_at + 0.4, free_at=r.sent_at + 0.39) for r in honest]
    assert run.check()["load pace"].passed
    assert "400 of 400 had to wait, as all users awaited" in run.check()["load pace"].summary
    run.requests = [replace(r, sent_at=r.sent_at - 0.2) for r in honest]
    assert "requests are sent before they are due" in run.failed()["load requests"]


@pytest.mark.parametrize(
    ("shift", "text"),
    [(-0.5, "labels were posted before their delay was over"), (3.0, "after their delay")],
)
def test_labels_posted_at_another_time(
    make: Callable[..., PlayedRun], shift: float, text: str
) -> None:
    """The delay is part of the plan."""
    run = make()
    run.batches = [replace(b, sent_at=b.sent_at + shift) for b in run.batches]
    assert text in run.failed()["load labels"]


def test_each_process_of_a_load_posts_what_is_left_at_its_own_end(
    make: Callable[..., PlayedRun],
) -> None:
    """When another one still waits for its last answer, with which the load as a whole ends."""
    run = make()
    end = max(request.scheduled_at for request in run.requests)
    run.requests = [replace(r, finished_at=end + 0.5) if r.scheduled_at == end else r
                    for r in run.requests]  # fmt: skip
    run.batches = [replace(b, sent_at=min(b.sent_at, end + 0.1)) for b in run.batches]
    assert run.check()["load labels"].passed


def test_labels_that_were_not_posted(make: Callable[..., PlayedRun]) -> None:
    """Exactly those of the chosen share go out."""
    run = make(requests=200)
    run.batches.pop()
    assert run.failed()["load labels"].startswith(
        "the load posted 180 labels, 200 were chosen of 200 answered predictions"
    )


def test_an_unknown_drift_is_not_evaluated(make: Callable[..., PlayedRun]) -> None:
    """A plug-in may do what it likes; that nobody looked is said by name."""
    run = make(requests=200)
    run.scenario["phases"][1]["drift"] = {"name": "my_drift", "severity": 1.0}
    plan = changed(run.plan, drift=PhaseDrift("my_drift", 1.0))
    write_plan(run.layout.load_plan, plan)
    run.change_requests(lambda r: _said(r, ("my_drift", 1.0)))
    results = run.check()
    assert not results["load drift second"].applicable
    assert results["load drift second"].summary.startswith("what the drift my_drift must do")
    assert not results["load rows"].applicable
    assert results["load drift"].passed


def closed_run(make: Callable[..., PlayedRun], *closed: int) -> PlayedRun:
    """A run of two phases, of which those at these places are of closed users."""
    run = make()
    users: dict[str, Any] = {"rate": None, "users": 3, "wait": 0.2}
    for place in closed:
        run.scenario["phases"][place] |= users
    phases = [
        replace(phase, **users) if place in closed else phase
        for place, phase in enumerate(run.plan.phases)
    ]
    run.plan = replace(run.plan, phases=tuple(phases))
    write_plan(run.layout.load_plan, run.plan)
    run.send(run.plan)
    run.serve()
    return run


def test_closed_users_plan_no_arrivals(make: Callable[..., PlayedRun]) -> None:
    """What is about planned times is not applicable, by name; rows and numbers are held as ever."""
    run = closed_run(make, 0, 1)
    results = run.check()
    skipped = {name for name, each in results.items() if not each.applicable}
    assert skipped == {"load requests", "load pace"}
    assert "first, second" in results["load requests"].summary
    assert all(each.passed for each in results.values())
    assert results["load rows"].passed
    run.requests[3] = replace(run.requests[3], seq=99_999)
    assert "load requests" in run.failed()


def test_phases_behind_closed_users_are_held_to_their_plan(make: Callable[..., PlayedRun]) -> None:
    """Their numbers begin where those of the users end; only planned ones are counted."""
    run = closed_run(make, 0)
    results = run.check()
    assert results["load requests"].applicable
    assert all(each.passed for each in results.values())
    assert "all 700 planned" in results["load requests"].summary
    assert any("closed users" in line for line in results["load requests"].details)
    run.requests.pop()
    assert "699 of 700" in run.failed()["load requests"]


def test_other_users_than_the_scenario_says(make: Callable[..., PlayedRun]) -> None:
    """The plan that Locust read is held against the scenario, users and thought included."""
    run = closed_run(make, 0, 1)
    run.scenario["phases"][1]["wait"] = 0.5
    assert "wait of phase second" in run.failed()["load plan"]
