"""When rows drift during a phase."""

from __future__ import annotations

from itertools import islice

import pytest
from testbed_load.arrivals import Steady
from testbed_load.errors import LoadError
from testbed_load.forms import (
    DriftForm,
    GradualForm,
    RecurringForm,
    SeasonalForm,
    SuddenForm,
    drifting,
)
from testbed_load.plan import LoadPhase, LoadPlan, Only, PhaseDrift, parse_plan, plan_text
from testbed_load.traffic import TrafficSource, phase_rows

FORMS = (
    SuddenForm(at=0.5),
    GradualForm(start=0.2, end=0.7),
    RecurringForm(cycles=3, width=0.25),
    SeasonalForm(cycles=2),
)
ROWS = 2000


def phase(form: DriftForm | None, only: Only | None = None) -> LoadPhase:
    """40 s at 50 requests a second."""
    return LoadPhase("p", 40.0, 50.0, PhaseDrift("scale", 1.0, only, form=form))


@pytest.mark.parametrize(
    ("form", "places", "ratios"),
    [
        (SuddenForm(), (0.0, 1.0), (1.0, 1.0)),
        (FORMS[0], (0.49, 0.5, 1.0), (0.0, 1.0, 1.0)),
        (FORMS[1], (0.1, 0.2, 0.45, 0.7, 0.9), (0.0, 0.0, 0.5, 1.0, 1.0)),
        (FORMS[2], (0.0, 0.24, 0.26, 0.32, 0.34, 0.99), (0.0, 0.0, 1.0, 1.0, 0.0, 1.0)),
        (FORMS[3], (0.0, 0.125, 0.25, 0.5, 0.75), (0.0, 0.5, 1.0, 0.0, 1.0)),
    ],
)
def test_the_share_that_drifts(
    form: DriftForm, places: tuple[float, ...], ratios: tuple[float, ...]
) -> None:
    """It is what the form's words say, at every place."""
    assert [form.ratio(place) for place in places] == pytest.approx(ratios)


def test_how_many_drift_is_the_share() -> None:
    """20,000 requests of a gradual drift: each tenth holds its share, within 5 deviations."""
    drifts = drifting(GradualForm(), Steady(1.0, 20_000), 20_000.0, "1 p")
    for tenth in range(10):
        found = sum(drifts(index) for index in range(2000 * tenth, 2000 * (tenth + 1))) / 2000
        assert found == pytest.approx((tenth + 0.5) / 10, abs=0.056)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
def test_each_row_is_the_drifted_one_or_the_drawn_one(
    source: TrafficSource, form: DriftForm
) -> None:
    """A form changes when rows drift, and not which rows are drawn nor how they drift."""
    plain = LoadPhase("p", 40.0, 50.0)
    drawn, always, some = (
        list(islice(phase_rows(each, source, 4, 0), ROWS))
        for each in (plain, phase(None), phase(form))
    )
    drifts = phase(form).drifting(4)
    assert some == [always[i] if drifts(i) else drawn[i] for i in range(ROWS)]
    assert 0 < sum(map(drifts, range(ROWS))) < ROWS


def test_a_form_and_the_rows_that_drift_are_two_things(source: TrafficSource) -> None:
    """Only such rows drift, and only when it is time."""
    only = Only("kind", equals="b")
    drawn = list(islice(phase_rows(LoadPhase("p", 40.0, 50.0), source, 4, 0), ROWS))
    sent = list(islice(phase_rows(phase(SuddenForm(at=0.5), only), source, 4, 0), ROWS))
    moved = [i for i in range(ROWS) if sent[i] != drawn[i]]
    assert moved
    assert all(i >= ROWS // 2 and drawn[i][0]["kind"] == "b" for i in moved)


def test_a_plan_holds_its_forms() -> None:
    """The plan's file says all that the verdict asks for."""
    plan = LoadPlan("run", 1, "diabetes", (phase(FORMS[1]),))
    assert parse_plan(plan_text(plan)) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "gradual", "start": 0.5, "end": 0.5}', "start must come before end"),
        ('{"kind": "recurring", "width": 1.0}', "form"),
        ('{"kind": "sideways"}', "form"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    """One line names it."""
    plan = plan_text(LoadPlan("run", 1, "diabetes", (phase(None),)))
    with pytest.raises(LoadError, match=message):
        parse_plan(plan.replace('"form": null', f'"form": {text}'))


def test_users_that_send_as_they_can_have_no_form() -> None:
    """Nobody knows at which place of the phase a request will be sent."""
    with pytest.raises(ValueError, match="needs a rate or a shape"):
        LoadPhase("p", 40.0, None, PhaseDrift("scale", 1.0, form=SeasonalForm()), users=3)
