"""The decision: a pure function of scores and policy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_drift.evaluation.decision import (
    Action,
    Decision,
    Policy,
    confirmed,
    decide,
    decision_line,
    evidently_line,
)
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.scoring.scores import (
    CHI_SQUARE,
    TOTAL_VARIATION,
    ColumnDrift,
    ColumnScore,
    Comparison,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.scoring.scores import DriftScores


@pytest.mark.parametrize(
    ("drifted", "also", "action", "bound"),
    [
        (0, {}, "NO_ACTION", "< 0.30"),
        (2, {}, "NO_ACTION", "< 0.30"),
        (3, {}, "ALERT", ">= 0.30"),
        (4, {}, "ALERT", ">= 0.30"),
        (5, {}, "RETRAIN", ">= 0.50"),
        (10, {}, "RETRAIN", ">= 0.50"),
        (0, {"prediction": True}, "ALERT", "< 0.30"),
        (0, {"target": True}, "ALERT", "< 0.30"),
        (0, {"prediction": True, "target": True}, "ALERT", "< 0.30"),
        (3, {"prediction": True}, "ALERT", ">= 0.30"),
        (3, {"target": True}, "RETRAIN", ">= 0.30"),
        (3, {"target": None}, "ALERT", ">= 0.30"),
        (0, {"target": None}, "NO_ACTION", "< 0.30"),
    ],
)
def test_decision_table(
    scores_of: Callable[..., DriftScores],
    drifted: int,
    also: dict[str, Any],
    action: str,
    bound: str,
) -> None:
    """Share, prediction and target lead to the stated action with the default policy."""
    decision = decide(scores_of(drifted, **also), Policy())
    assert (decision.action, decision.bound) == (Action(action), bound)


def test_policy_moves_the_limits(scores_of: Callable[..., DriftScores]) -> None:
    """The same scores lead to another action under another policy."""
    scores = scores_of(1)
    assert decide(scores, Policy(0.1, 0.9)).action is Action.ALERT
    assert decide(scores, Policy(0.05, 0.1)).action is Action.RETRAIN


def test_reasons_name_what_drifted(scores_of: Callable[..., DriftScores]) -> None:
    """The reasons name the drifted columns, the target and the prediction, class or number."""
    scores = scores_of(2, prediction=True, target=True)
    expected = ("2 of 10 columns drifted: x0, x1", "the target drifted")
    assert decide(scores, Policy()).reasons == (*expected, "the predicted number drifted")
    comparison = Comparison(
        ColumnScore(CHI_SQUARE, 1e-6, 0.01, "p_value"),
        ColumnScore(TOTAL_VARIATION, 0.4, 0.05, "distance"),
    )
    classes = replace(scores, prediction=ColumnDrift(PREDICTION, (comparison,)))
    assert decide(classes, Policy()).reasons == (*expected, "the predicted class drifted")
    assert decide(scores_of(0), Policy()).reasons == ("none of 10 columns drifted",)


def test_line_has_the_form_of_system_e(scores_of: Callable[..., DriftScores]) -> None:
    """The line holds report paths, share, decision with its limit, target and prediction drift."""
    scores = scores_of(1, columns=16)
    line = decision_line("r/a.html", "r/a.json", scores, decide(scores, Policy()))
    assert line == (
        "report=r/a.html json=r/a.json drift_share=0.06 decision=NO_ACTION (< 0.30) "
        "target_drift=0.01 prediction_drift=0.01"
    )


def test_line_names_no_report_that_was_not_made(scores_of: Callable[..., DriftScores]) -> None:
    """Without labels it says so; of files it has only those that are there."""
    scores = scores_of(0, target=None)
    line = decision_line(None, "a.json", scores, decide(scores, Policy()))
    assert line.startswith("json=a.json drift_share=")
    assert " target_drift=none " in line
    assert decision_line(None, None, scores, decide(scores, Policy())).startswith("drift_share=")


@pytest.mark.parametrize(
    ("drifted", "outcomes", "basis", "words"),
    [
        (2, {}, "< 0.30", "2 of 10 columns drifted (drift_share 0.20), below the limit of ALERT"),
        (3, {}, ">= 0.30", "3 of 10 columns drifted (drift_share 0.30), from the limit of ALERT"),
        (6, {}, ">= 0.50", "6 of 10 columns drifted (drift_share 0.60), from the limit of RETRAIN"),
        (
            2,
            {"prediction": True, "target": True},
            "< 0.30, but prediction, target",
            "but the predictions drifted and the target drifted, which asks for ALERT by itself",
        ),
        (
            3,
            {"target": True},
            ">= 0.30, with target",
            "and the target drifted: inputs and what is to be learnt have both moved",
        ),
    ],
)
def test_line_and_words_say_what_decided(
    scores_of: Callable[..., DriftScores],
    drifted: int,
    outcomes: dict[str, bool],
    basis: str,
    words: str,
) -> None:
    """A limit alone never stands beside an action that it does not explain."""
    decision = decide(scores_of(drifted, **outcomes), Policy())
    assert decision.basis == basis
    assert words in decision.words


@pytest.mark.parametrize(
    ("before", "now", "needed", "action"),
    [
        ("", "A", 1, "A"),
        ("", "A", 2, "N"),
        ("N", "A", 2, "N"),
        ("A", "A", 2, "A"),
        ("AN", "A", 2, "A"),
        ("AA", "N", 2, "A"),
        ("AN", "N", 2, "N"),
        ("A", "R", 2, "A"),
        ("RA", "R", 2, "R"),
        ("RR", "N", 3, "N"),
    ],
)
def test_enough_windows_decide(before: str, now: str, needed: int, action: str) -> None:
    """N, A and R are the actions; the most severe that enough windows ask for, or exceed, holds."""
    named = {"N": Action.NO_ACTION, "A": Action.ALERT, "R": Action.RETRAIN}
    alone = Decision(named[now], "< 0.30", ("why",))
    found = confirmed(alone, [named[letter] for letter in before], needed)
    assert found.action is named[action]
    assert found.reasons[0] == "why"
    assert (len(found.reasons) == 2) is (action != now)


@pytest.mark.parametrize(
    ("drifted", "columns", "action", "basis", "words"),
    [
        (1, 1, "ALERT", ">= 1 column", "from the limit of ALERT (1 column, or 0.30) on"),
        (1, 2, "NO_ACTION", "< 0.30", "below the limit of ALERT (2 columns, or 0.30)"),
        (2, 2, "ALERT", ">= 2 columns", "from the limit of ALERT (2 columns, or 0.30) on"),
        (4, 2, "ALERT", ">= 0.30", "from the limit of ALERT (2 columns, or 0.30) on"),
        (5, 1, "RETRAIN", ">= 0.50", "from the limit of RETRAIN (0.50) on"),
        (2, 0, "NO_ACTION", "< 0.30", "below the limit of ALERT (0.30)"),
    ],
)
def test_a_number_of_columns_is_an_alert_whatever_their_share(
    scores_of: Callable[..., DriftScores],
    drifted: int,
    columns: int,
    action: str,
    basis: str,
    words: str,
) -> None:
    """It says so in words; a number alone never asks for a training, even with a drifted target."""
    decision = decide(scores_of(drifted), Policy(alert_columns=columns))
    assert (decision.action, decision.basis) == (Action(action), basis)
    assert words in decision.words
    if 0 < drifted < 3:
        moved = decide(scores_of(drifted, target=True), Policy(alert_columns=columns))
        assert moved.action is Action.ALERT


def test_the_line_of_other_flows_of_months(scores_of: Callable[..., DriftScores]) -> None:
    """Letter for letter what such a flow prints, with the share before and behind the arrow."""
    scores = scores_of(0, target=False)
    line = evidently_line("/r/a.html", "/r/a.json", scores, decide(scores, Policy()))
    assert scores.target
    amount = round(scores.target.leading.value, 3) if scores.target.leading else None
    assert line == (
        "[Evidently] report_html=/r/a.html report_json=/r/a.json drift_share=0.00 -> NO_ACTION "
        f"drift_share=0.00 < 0.30 (target_drift={amount})"
    )
