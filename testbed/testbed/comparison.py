"""Two runs of a scenario held against each other: what changed, and what became worse. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import Field

from testbed.checks.results import ResultModel
from testbed.errors import UsageError
from testbed.texts import NONE, number, seconds, status_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.checks.results import AlertRow, CheckResult, Delay, Hop, LimitRow
    from testbed.verdict import Verdict

Kind: TypeAlias = Literal["check", "alert", "delay", "loss", "limit", "drift", "score"]

DELAY_SLACK: Final = 2.0
"""Real seconds by which a delay may be longer: when a rule is evaluated is up to chance."""
LIMIT_SLACK: Final = {"ratio": 0.005, "s": 0.02, "requests": 0.0}
"""The same for what limits measure, by its unit."""


class ChangeRow(ResultModel):
    """Something that is not as it was."""

    kind: Kind
    name: str
    before: str = Field(description="For people; a dash where there was nothing.")
    after: str = Field(description="For people; a dash where there is nothing.")
    regression: bool = Field(default=False, description="It became worse, beyond the tolerance.")


class RunComparison(ResultModel):
    """What changed from one run to another, schema version 1."""

    schema_version: Literal[1] = 1
    before: str = Field(description="Id of the earlier run.")
    after: str = Field(description="Id of the later run.")
    scenario: str
    tolerance: float = Field(description="Ratio by which measured values may be worse.")
    differences: tuple[str, ...] = Field(
        default=(), description="What the runs were played with that is not the same."
    )
    changes: tuple[ChangeRow, ...] = ()

    @property
    def regressions(self) -> tuple[ChangeRow, ...]:
        """What became worse."""
        return tuple(change for change in self.changes if change.regression)

    @property
    def text(self) -> str:
        """In one sentence."""
        if not self.changes:
            return "nothing changed"
        worse = len(self.regressions)
        return f"{len(self.changes)} changed, {worse or 'none'} for the worse"


def compare(before: Verdict, after: Verdict, tolerance: float) -> RunComparison:
    """Hold two verdicts against each other.

    Args:
        before: of the earlier run.
        after: of the later run.
        tolerance: ratio by which delays and what limits measure may be worse.

    Raises:
        UsageError: the runs are of different scenarios.
    """
    if before.run.scenario != after.run.scenario:
        raise UsageError(
            f"{before.run.id} played {before.run.scenario} and {after.run.id} "
            f"{after.run.scenario}: compare two runs of one scenario"
        )
    return RunComparison(
        before=before.run.id,
        after=after.run.id,
        scenario=after.run.scenario,
        tolerance=tolerance,
        differences=tuple(_differences(before, after)),
        changes=(
            *_checks(before, after),
            *_alerts(before, after, tolerance),
            *_losses(before, after),
            *_limits(before, after, tolerance),
            *_rest(before, after),
        ),
    )


def _differences(before: Verdict, after: Verdict) -> Iterator[str]:
    """What was played with something else, so that changes may come of that."""
    for name in ("use_case", "data", "seed", "time_scale", "replicas", "without", "custom_rules"):
        one, other = getattr(before.run, name), getattr(after.run, name)
        if one != other:
            yield f"{name.replace('_', ' ')}: {_said(one)}, then {_said(other)}"
    if before.run.version != after.run.version:
        yield f"version: {before.run.version}, then {after.run.version}"


def _said(value: object) -> str:
    return ", ".join(map(str, value)) or NONE if isinstance(value, tuple) else str(value)


def _checks(before: Verdict, after: Verdict) -> Iterator[ChangeRow]:
    earlier = {check.name: check for check in before.checks}
    later = {check.name: check for check in after.checks}
    for name in {**earlier, **later}:
        one, other = _state(earlier.get(name)), _state(later.get(name))
        if one != other:
            why = f": {later[name].summary}" if other in {"failed", "warned"} else ""
            yield ChangeRow(
                kind="check",
                name=name,
                before=one,
                after=f"{other}{why}",
                regression=other == "failed",
            )


def _state(check: CheckResult | None) -> str:
    if check is None:
        return NONE
    if not check.applicable:
        return "not applicable"
    if check.passed:
        return "passed"
    return "warned" if check.severity == "warn" else "failed"


def _alerts(before: Verdict, after: Verdict, tolerance: float) -> Iterator[ChangeRow]:
    earlier, later = _by_name(before.alerts), _by_name(after.alerts)
    slack = DELAY_SLACK * after.run.time_scale
    for name in {**earlier, **later}:
        one, other = earlier.get(name), later.get(name)
        said = [status_text(row.status) if row else NONE for row in (one, other)]
        if said[0] != said[1]:
            worse = other is None or not other.passed
            yield ChangeRow(
                kind="alert", name=name, before=said[0], after=said[1], regression=worse
            )
        if one is not None and other is not None:
            for what in ("detection", "resolution"):
                yield from _delay(
                    f"{name}: {what}", getattr(one, what), getattr(other, what), tolerance, slack
                )


def _by_name(rows: Iterable[AlertRow]) -> dict[str, AlertRow]:
    """Rows by alert and phase; those that only labels distinguish get a number."""
    found: dict[str, AlertRow] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        name = f"{row.alert} in {row.phase}" if row.phase else row.alert
        counts[name] += 1
        found[name if counts[name] == 1 else f"{name} ({counts[name]})"] = row
    return found


def _delay(
    name: str, one: Delay | None, other: Delay | None, tolerance: float, slack: float
) -> Iterator[ChangeRow]:
    if one is None or other is None:
        return  # the alert's status says so
    if abs(other.production - one.production) > max(slack, one.production * tolerance):
        yield ChangeRow(
            kind="delay",
            name=name,
            before=seconds(one.production),
            after=seconds(other.production),
            regression=other.production > one.production,
        )


def _losses(before: Verdict, after: Verdict) -> Iterator[ChangeRow]:
    """What is unexplained, and reasons that came or went; how many depends on chance."""
    earlier, later = {h.key: h for h in before.hops}, {h.key: h for h in after.hops}
    for key in {**earlier, **later}:
        one, other = earlier.get(key), later.get(key)
        titles = [hop.title for hop in (other, one) if hop]
        said = [_lost(hop) if hop else NONE for hop in (one, other)]
        reasons = [{item.reason for item in hop.explained} if hop else None for hop in (one, other)]
        left = [hop.residual if hop else 0 for hop in (one, other)]
        if reasons[0] != reasons[1] or left[0] != left[1]:
            yield ChangeRow(
                kind="loss",
                name=titles[0],
                before=said[0],
                after=said[1],
                regression=abs(left[1]) > abs(left[0]),
            )


def _lost(hop: Hop) -> str:
    explained = (f"{item.count} {item.reason}" for item in hop.explained)
    return ", ".join((*explained, f"{hop.residual} unexplained"))


def _limits(before: Verdict, after: Verdict, tolerance: float) -> Iterator[ChangeRow]:
    earlier = {row.name: row for row in before.limits}
    for row in after.limits:
        one = earlier.get(row.name)
        if one is None or one.value is None or row.value is None:
            continue
        slack = max(LIMIT_SLACK.get(row.unit, 0.0), abs(one.value) * tolerance)
        if row.value != one.value and (abs(row.value - one.value) > slack):
            yield ChangeRow(
                kind="limit",
                name=row.title,
                before=number(one.value, row.unit),
                after=number(row.value, row.unit),
                regression=_worse(row, one.value),
            )


def _worse(row: LimitRow, before: float) -> bool:
    value = row.value or 0.0
    return value < before if row.at_least else value > before


def _rest(before: Verdict, after: Verdict) -> Iterator[ChangeRow]:
    """The decision of the drift job, which its check evaluates, and the score."""
    one, other = before.drift.decision, after.drift.decision
    if one != other:
        yield ChangeRow(kind="drift", name="decision", before=one or NONE, after=other or NONE)
    scores = [v.points.scored / v.points.of if v.points else None for v in (before, after)]
    if scores[0] != scores[1]:
        shown = [NONE if score is None else f"{score:.0%}" for score in scores]
        worse = None not in scores and (scores[1] or 0.0) < (scores[0] or 0.0)
        yield ChangeRow(
            kind="score", name="assertions", before=shown[0], after=shown[1], regression=worse
        )
