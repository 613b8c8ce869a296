"""From scores to a decision with its reasons, and its one-line form. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from testbed_drift.scoring.scores import KS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_drift.quality.concept import ConceptDrift
    from testbed_drift.relations.study import Relations
    from testbed_drift.scoring.scores import ColumnDrift, DriftScores


class Action(StrEnum):
    """What to do about the current window, in order of severity."""

    NO_ACTION = "NO_ACTION"
    ALERT = "ALERT"
    RETRAIN = "RETRAIN"


class Cause(StrEnum):
    """What an action may stand on."""

    COLUMNS = "columns"
    PREDICTION = "prediction"
    TARGET = "target"
    CONCEPT = "concept"
    RELATIONS = "relations"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Policy:
    """When drift asks for action.

    Attributes:
        alert_share: share of drifted columns from which somebody should look.
        retrain_share: share from which the model should be trained again.
        alert_columns: number of drifted columns from which somebody should look, whatever their
            share; 0 goes by the share alone.
    """

    alert_share: float = 0.30
    retrain_share: float = 0.5
    alert_columns: int = 0

    def alerted_by(self, scores: DriftScores) -> bool:
        """Whether so many columns drifted that somebody should look."""
        return scores.ratio >= self.alert_share or self.counts(scores)

    def counts(self, scores: DriftScores) -> bool:
        """Whether the number of drifted columns alone says so."""
        return 0 < self.alert_columns <= len(scores.drifted_columns)

    @property
    def limit(self) -> str:
        """The limit of ALERT, in words."""
        share = f"{self.alert_share:.2f}"
        return f"{_columns(self.alert_columns)}, or {share}" if self.alert_columns else share


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, the limit that it was measured by, and why.

    Attributes:
        action: what to do.
        bound: the comparison of the share with its limit, for example ``< 0.30``.
        reasons: one phrase each, never empty.
        causes: what the action stands on; empty for NO_ACTION.
        basis: why it is this action, for the one line: the comparison, and what else decided.
        words: the same as a sentence.
    """

    action: Action
    bound: str
    reasons: tuple[str, ...]
    causes: tuple[Cause, ...] = ()
    basis: str = ""
    words: str = ""


def decide(
    scores: DriftScores,
    policy: Policy,
    concept: ConceptDrift | None = None,
    relations: Relations | None = None,
    unreadable: Sequence[str] = (),
) -> Decision:
    """Weigh the scores.

    RETRAIN from ``retrain_share`` on, or from ``alert_share`` on when the target drifted too: then
    the inputs *and* what is to be learnt have moved. ALERT from ``alert_share`` or
    ``alert_columns`` on, or when only
    prediction or target drifted, which tests on the inputs do not see, or several columns together.

    Args:
        scores: drift of inputs, prediction and target.
        policy: limits.
        concept: what labels say of the model's errors; concept drift weighs as much as a drifted
            target. None where nobody looked.
        relations: what no single column shows; labels that depend on the window at the same inputs
            are concept drift as well. None where nobody studied it.
        unreadable: phrases on columns of which some values could not be compared.
    """
    target = scores.target is not None and scores.target.drifted
    prediction = scores.prediction.drifted
    wide = scores.ratio >= policy.alert_share
    errs = concept is not None and concept.drifted
    together = False
    if relations is not None:
        errs = errs or relations.label.drifted
        together = relations.multivariate
    retrain = scores.ratio >= policy.retrain_share or (wide and (target or errs))
    if retrain:
        action = Action.RETRAIN
    elif policy.alerted_by(scores) or target or prediction or errs or together or unreadable:
        action = Action.ALERT
    else:
        action = Action.NO_ACTION
    reasons = _reasons(scores, target=target)
    if relations is not None:
        reasons = (*reasons, *relations.reasons)
        if relations.label.reason:
            reasons = (*reasons, relations.label.reason)
    if concept is not None and concept.reason:
        reasons = (*reasons, concept.reason)
    elif concept is not None and concept.harmless and scores.drifted_columns and not errs:
        reasons = (*reasons, concept.harmless)
    reasons = (*reasons, *unreadable)
    found = {
        Cause.COLUMNS: retrain or policy.alerted_by(scores),
        Cause.PREDICTION: prediction,
        Cause.TARGET: target,
        Cause.CONCEPT: errs,
        Cause.RELATIONS: together,
        Cause.DATA: bool(unreadable),
    }
    causes = tuple(cause for cause, there in found.items() if there)
    bound = _bound(scores, policy)
    basis, words = _grounds(action, scores, policy, causes)
    return Decision(action, bound, reasons, causes, basis, words)


_NAMES: Final = {
    Cause.PREDICTION: "the predictions drifted",
    Cause.TARGET: "the target drifted",
    Cause.CONCEPT: "there is concept drift",
    Cause.RELATIONS: "several columns drifted together",
    Cause.DATA: "values could not be read",
}


def _grounds(
    action: Action, scores: DriftScores, policy: Policy, causes: tuple[Cause, ...]
) -> tuple[str, str]:
    """What decided: in short, and in words. The ratio alone, or something beside it."""
    ratio = f"{len(scores.drifted_columns)} of {len(scores.columns)} columns drifted"
    ratio += f" (drift_share {scores.ratio:.2f})"
    bound, alert = _bound(scores, policy), f"the limit of ALERT ({policy.limit})"
    beside = [cause for cause in causes if cause is not Cause.COLUMNS]
    if action is Action.RETRAIN and scores.ratio < policy.retrain_share:
        learnt = [cause for cause in beside if cause in {Cause.TARGET, Cause.CONCEPT}]
        moved = " and ".join(_NAMES[cause] for cause in learnt)
        both = "inputs and what is to be learnt have both moved"
        return (
            f"{bound}, with {', '.join(learnt)}",
            f"{ratio}, from {alert} on, and {moved}: {both}",
        )
    if action is Action.ALERT and not policy.alerted_by(scores):
        named = " and ".join(_NAMES[cause] for cause in beside)
        words = f"{ratio}, below {alert}, but {named}, which asks for ALERT by itself"
        return f"{bound}, but {', '.join(beside)}", words
    if action is Action.NO_ACTION:
        return bound, f"{ratio}, below {alert}, and nothing else asks for action"
    if action is Action.RETRAIN:
        alert = f"the limit of RETRAIN ({policy.retrain_share:.2f})"
    return bound, f"{ratio}, from {alert} on"


def confirmed(decision: Decision, before: Sequence[Action], needed: int) -> Decision:
    """The decision that enough windows agree on: one odd window neither alarms nor ends an alarm.

    Args:
        decision: of the last window.
        before: what the windows before it asked for by themselves, as far back as they count.
        needed: windows that must ask for an action, or a more severe one; 1 confirms every one.
    """
    wanted = [*before, decision.action]
    order = list(Action)
    action = next(
        chosen
        for chosen in reversed(order)
        if chosen is order[0]
        or sum(order.index(other) >= order.index(chosen) for other in wanted) >= needed
    )
    if action is decision.action:
        return decision
    reason = (
        f"this window alone asks for {decision.action}; {needed} windows must agree, and of the "
        f"latest {len(wanted)} so many ask for {action}"
        if action is not order[0]
        else f"this window alone asks for {decision.action}; {needed} windows must agree, and the "
        f"latest {len(wanted)} don't yet"
    )
    return replace(
        decision,
        action=action,
        reasons=(*decision.reasons, reason),
        basis=f"{decision.bound}, {needed} windows must agree",
        words=reason,
    )


def _bound(scores: DriftScores, policy: Policy) -> str:
    ratio = scores.ratio
    if ratio >= policy.retrain_share:
        return f">= {policy.retrain_share:.2f}"
    if ratio >= policy.alert_share:
        return f">= {policy.alert_share:.2f}"
    if policy.counts(scores):
        return f">= {_columns(policy.alert_columns)}"
    return f"< {policy.alert_share:.2f}"


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"


def _reasons(scores: DriftScores, *, target: bool) -> tuple[str, ...]:
    drifted = scores.drifted_columns
    reasons = [
        f"{len(drifted)} of {len(scores.columns)} columns drifted: {', '.join(drifted)}"
        if drifted
        else f"none of {len(scores.columns)} columns drifted"
    ]
    if target:
        reasons.append("the target drifted")
    if scores.prediction.drifted:
        reasons.append(f"the predicted {_what(scores.prediction)} drifted")
    return tuple(reasons)


def _what(prediction: ColumnDrift) -> str:
    numeric = any(one.test.method == KS for one in prediction.comparisons)
    return "number" if numeric else "class"


def decision_line(
    html: str | None, json: str | None, scores: DriftScores, decision: Decision
) -> str:
    """The decision in one line, for people and for ``grep``.

    Args:
        html: path of the HTML report, or None where this run rendered none.
        json: path of the JSON report, or None where none is kept.
        scores: what was found.
        decision: what was decided.
    """
    files = "".join(f"{name}={path} " for name, path in (("report", html), ("json", json)) if path)
    return (
        f"{files}drift_share={scores.ratio:.2f} decision={decision.action} ({decision.basis}) "
        f"target_drift={_amount(scores.target)} prediction_drift={_amount(scores.prediction)}"
    )


def evidently_line(
    html: str | None, json: str | None, scores: DriftScores, decision: Decision
) -> str:
    """The same in the form that flows of months print elsewhere, for what reads these.

    Args:
        html: as of :func:`decision_line`.
        json: likewise.
        scores: likewise.
        decision: likewise.
    """
    share = f"drift_share={scores.ratio:.2f}"
    return (
        f"[Evidently] report_html={html} report_json={json} {share} -> {decision.action} {share} "
        f"{decision.basis} (target_drift={_amount(scores.target)})"
    )


def _amount(column: ColumnDrift | None) -> str:
    leading = column.leading if column else None
    return str(round(leading.value, 3)) if leading else "none"
