"""Why an expected alert did not fire, was not notified, or came late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_rules.timescale import format_duration

from testbed.checks.contract import contract_of, why_not_notified
from testbed.checks.episodes import bears
from testbed.checks.faults import drifted, effects
from testbed.checks.results import AlertStatus
from testbed.facts.rulecharts import alert_of, anchor
from testbed.snapshot import GAP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.facts.alertspans import AlertSpan
    from testbed.facts.marginmodels import LimitMargin, RuleMargins
    from testbed.phases import PhaseRow
    from testbed.scenario import ExpectedAlert
    from testbed.snapshot import LoadedRule


def spell(case: Case, real: float) -> str:
    """A span of real seconds, at both scales."""
    production = format_duration(max(0.0, float(round(real * case.factor))))
    return f"{real:.1f} s ({production} of production time)"


def never_fired(case: Case, item: ExpectedAlert, phase: PhaseRow) -> tuple[AlertStatus, str]:
    """What became of an alert that neither fired nor was notified in its phase."""
    rules = case.evidence.snapshot.rules
    if rules is None:
        return AlertStatus.NEVER_FIRED, "never fired, and Prometheus did not report its rules"
    named = [rule for rule in rules if rule.name == item.alert]
    if not named:
        return AlertStatus.RULE_MISSING, "no rule of that name is loaded in Prometheus"
    failing = next((rule for rule in named if rule.health == "err"), None)
    if failing is not None:
        error = " ".join(failing.last_error.split())
        return AlertStatus.RULE_FAILING, f"the evaluation of its rule fails: {error}"
    pending = _pending(case, item, phase)
    if pending:
        return AlertStatus.NEVER_FIRED, _only_pending(case, pending, named)
    if _passed_a_limit(case, item.alert, phase):
        return AlertStatus.NEVER_FIRED, (
            "never fired nor was pending, though the series that Prometheus holds pass its limit: "
            "they arrived too late, or the rule was not evaluated"
        )
    return AlertStatus.NEVER_FIRED, "never fired: the condition of its rule was never true"


def not_notified(case: Case, item: ExpectedAlert, fired: float, phase: PhaseRow) -> str:
    """Of an alert that fired in Prometheus and did not reach the receiver."""
    return (
        f"fired in Prometheus {spell(case, fired - phase.start)} after the start of "
        f"{phase.name}, but {_nobody(case, item)}{_left_out(case)}"
    )


def late(case: Case, item: ExpectedAlert, phase: PhaseRow, began: float, notified: float) -> str:
    """Where the time of a late alert went.

    Args:
        case: of the run.
        item: what was expected.
        phase: that expects it.
        began: when it fired, as the notification says.
        notified: when the notification arrived.
    """
    since = min(
        (
            span.start
            for span in _pending(case, item, phase)
            if span.start <= began
            and span.end >= began - GAP * case.evidence.snapshot.interval(item.alert)
        ),
        default=began,
    )
    steps = [f"the condition was true from {since - phase.start:+.1f} s on"]
    if began > since:
        steps.append(f"`for` took {began - since:.1f} s")
    steps.append(f"grouping and delivery took {notified - began:.1f} s")
    return ", ".join(steps)


def evidence_of(case: Case, item: ExpectedAlert) -> tuple[str, ...]:
    """What a reader needs who wonders why an alert did not fire, one line each.

    Expression, highest value and limit of each rule of that name, and whether the phase's faults
    took hold by the load's own measurements.
    """
    margins = case.evidence.snapshot.margins
    rules = () if margins is None else margins.rules
    lines = [
        line for rule in rules if rule.alert == item.alert for line in _rule_lines(rule, item.phase)
    ]
    lines += where_from(case, item.alert)
    lines += [effect.sentence for effect in effects(case) if effect.phase == item.phase]
    drift = drifted(case, item.phase)
    return (*lines, *(() if drift is None else (drift,)))


def where_from(case: Case, alert: str) -> list[str]:
    """Where the rules of an alert stand, and where the report shows their values."""
    files = dict.fromkeys(
        rule.file for rule in case.evidence.snapshot.rules or () if rule.name == alert and rule.file
    )
    run = case.evidence.run
    if run.rules_given is not None:
        origin = f"of your rules in {run.rules_given}"
    else:
        origin = "of your own rules" if run.custom_rules else "as it ships in prometheus/rules"
    lines = [f"rule file: {name}, {origin}; as played: config/rules/{name}" for name in files]
    if any(alert_of(chart) == alert for chart in case.evidence.snapshot.charts):
        lines.append(f"its values against the limit, and its row: report.html#{anchor(alert)}")
    return lines


def _passed_a_limit(case: Case, alert: str, phase: PhaseRow) -> bool:
    """Whether a rule's only comparison held in its phase, by what is stored."""
    margins = case.evidence.snapshot.margins
    for rule in () if margins is None else margins.rules:
        if rule.alert == alert and len(rule.limits) == 1:
            (limit,) = rule.limits
            peak = limit.fault_peak.get(phase.name)
            if peak is not None and peak != limit.limit:
                return (peak > limit.limit) is limit.operator.startswith(">")
    return False


def _rule_lines(rule: RuleMargins, phase: str) -> Iterator[str]:
    which = ",".join(
        f'{name}="{value}"' for name, value in rule.labels.items() if name != "severity"
    )
    yield f"rule {{{which}}}: {rule.expression}" if which else f"rule: {rule.expression}"
    if rule.problem:
        yield f"it could not be replayed: {rule.problem}"
    for limit in rule.limits:
        yield _limit_line(limit, phase, rule.for_)


def _limit_line(limit: LimitMargin, phase: str, for_: float) -> str:
    peak, held = limit.fault_peak.get(phase), limit.fault_held.get(phase)
    where = f"limit: {limit.operator} {limit.limit:g}"
    if peak is None:
        return f"no value of {limit.expression} in {phase}; {where}"
    extreme = "lowest" if limit.operator.startswith("<") else "highest"
    if not for_:
        return f"{extreme} value in {phase}: {peak:.4g}; {where}"
    lasted = "none" if held is None else f"{held:.4g}"
    return (
        f"{extreme} value in {phase}: {peak:.4g}, for all of `for` ({for_:g} s): {lasted}; {where}"
    )


def _pending(case: Case, item: ExpectedAlert, phase: PhaseRow) -> list[AlertSpan]:
    """When an alert was pending in its phase or after."""
    return [
        span
        for span in case.evidence.snapshot.spans
        if span.alert == item.alert
        and bears(span.labels, item)
        and span.state == "pending"
        and span.end > phase.start
    ]


def _only_pending(case: Case, spans: list[AlertSpan], rules: list[LoadedRule]) -> str:
    """Of an alert that was pending, but never for long enough."""
    for_ = max(rule.for_ for rule in rules)
    longest = max(spans, key=lambda span: span.end - span.start)
    lasted = longest.end - longest.start
    times = "once" if len(spans) == 1 else f"{len(spans)} times"
    required = f"`for` is {spell(case, for_)}"
    if lasted < for_:
        at_longest = "for" if len(spans) == 1 else "at longest for"
        pending = f"it was pending {times}, {at_longest} {spell(case, lasted)}"
        return f"never fired: {pending}, and {required}"
    snapshot = case.evidence.snapshot
    if snapshot.ended_at - longest.end <= GAP * snapshot.interval(longest.alert):
        return f"never fired: the run ended when it had been pending for as long as {required}"
    return (
        f"never fired: it was pending {times}, but not on end: its condition failed at single "
        f"evaluations in between, each of which begins `for` anew, and {required}"
    )


def _nobody(case: Case, item: ExpectedAlert) -> str:
    """That no notification reached the receiver, who got it in its place, and why."""
    if reason := own_routes(case, item):
        return reason
    contract = contract_of(case)
    own = contract is not None and contract.own
    others = {n.receiver for n in case.evidence.notifications if n.alert == item.alert}
    others.discard(item.receiver or "")
    if item.receiver is not None and others and not own:
        return f"{', '.join(sorted(others))} was notified in place of {item.receiver}"
    why = why_not_notified(case, item.alert)[1] or _too_short(case, item)
    return "no notification reached the receiver" + (f": {why}" if why else "")


def _too_short(case: Case, item: ExpectedAlert) -> str:
    """That it ended before its group's next notification; empty where it did not."""
    contract = contract_of(case)
    firings = () if contract is None else contract.firings
    own = [f for f in firings if f.alert == item.alert and bears(f.labels, item)]
    if contract is None or not own:
        return ""
    firing = max(own, key=lambda each: each.longest)
    setting, waits = max(contract.waits(firing), key=lambda wait: wait[1])
    if firing.longest >= waits:
        return ""
    before = ", as its group was notified before" if setting == "group_interval" else ""
    return (
        f"it fired for {spell(case, firing.longest)}, and Alertmanager waits for up to "
        f"{spell(case, waits)} (`{setting}`){before}"
    )


def own_routes(case: Case, item: ExpectedAlert) -> str:
    """How a user's own routes explain that an alert was not notified; empty: they don't."""
    contract = contract_of(case)
    if contract is None or not contract.own:
        return ""
    fired = (f.labels for f in contract.firings if f.alert == item.alert and bears(f.labels, item))
    labels = next(fired, {"alertname": item.alert, **item.labels})
    given, names = contract.route_text(labels), contract.routed(labels)
    if item.receiver is not None and item.receiver not in names:
        return f"its routes give {given}, not {item.receiver}"
    if any(map(contract.recorded, names if item.receiver is None else (item.receiver,))):
        return ""
    return f"its routes give {given}, without an integration that could notify anybody"


def _left_out(case: Case) -> str:
    gone = [
        component
        for component in ("alertmanager", "receiver")
        if component in case.evidence.run.without
    ]
    return f" (the run was made without {' and '.join(gone)})" if gone else ""
