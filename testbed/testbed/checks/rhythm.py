"""What must happen at its interval throughout: evaluations, scrapes and exports.

A pause counts for what is left of it once four things are taken away: times in which the scenario
itself broke what pauses, times in which nothing on the machine ran at all, times in which other
processes had the processors that the component was waiting for, and times in which Prometheus,
which alone sees the others, stood still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.checks.blindness import EVALUATES, blind
from testbed.checks.findings import CheckFinding, finding_result
from testbed.checks.integrity import STAGES
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.componentnames import LOAD, component_of
from testbed.facts.cadence import Cadence, Stretch, pauses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.facts.rulehealth import RuleHealth

INTERVALS: Final = 5
"""Intervals that may pass without one: a rate over the shortest range that is allowed holds four
samples, so nothing that shorter pauses hide can be in it."""

MIN: Final = 3.0
"""Seconds that any pause may last: processes of a busy machine wait for their turn that long."""

MIN_EXPORT: Final = 5.0
"""The same of exports: a process that computes in Python exports only in between."""

FAILURES: Final = 0.1
"""Share of scrapes that may fail one at a time: each has only its interval to be answered in."""

MISSED: Final = 0.2
"""Share of evaluations that may be left out one at a time."""

RECOVERY: Final = 30.0
"""Seconds that a component which was stopped on purpose may need to be back."""

DETAILS: Final = 10

OWN_JOB: Final = "what the user's own Prometheus configuration scrapes may not be there in a run"


@dataclass(frozen=True, slots=True)
class Hole:
    """A pause that counts: of what, from when, and how many seconds of it."""

    name: str
    job: str
    start: float
    end: float
    seconds: float


def check_evaluations(case: Case, health: RuleHealth) -> tuple[CheckResult, ...]:
    """Every group was evaluated at its interval, from the start to the end."""
    name = "rules evaluated"
    if not health.evaluations:
        return (not_applicable(name, Stage.RULE, "no rule is loaded that could be evaluated"),)
    unseen = [each.name for each in health.evaluations if not each.count]
    if len(unseen) == len(health.evaluations):
        summary = "Prometheus holds no metrics of its own evaluations, so they can't be followed"
        return (CheckResult(name=name, passed=False, stage=Stage.PROMETHEUS, summary=summary),)
    excused = [*_starved(health, "prometheus"), *intended(case, "prometheus", "evaluations")]
    holes = [hole for each in health.evaluations for hole in _holes(each, excused, MIN)]
    lines = [f"group {n}: no evaluation of it is on record" for n in unseen]
    lines += [_hole_line(case, f"group {hole.name}", hole) for hole in holes]
    left_out = [each for each in health.evaluations if _ratio_missed(each) > MISSED]
    lines += [
        f"group {each.name}: {each.missed} evaluations left out, {each.count} done; the slowest "
        f"took {each.slowest:.3g} s, its interval is {each.interval:g} s"
        for each in left_out
    ]
    if not lines:
        count = sum(each.count for each in health.evaluations)
        summary = f"{count} evaluations of {len(health.evaluations)} groups, none late"
        return (CheckResult(name=name, passed=True, stage=Stage.PROMETHEUS, summary=summary),)
    stood = _standstills(health)
    slow = [e for e in (*left_out, *_named(health, holes)) if e.slowest > e.interval]
    if holes and any(_overlaps(hole, each) for hole in holes for each in stood):
        worst = max(holes, key=lambda hole: hole.seconds)
        stage = Stage.PROMETHEUS
        summary = (
            f"Prometheus stood still for {worst.seconds:.1f} s{_where(case, worst)}: it evaluated "
            "no rule and scraped no target"
        )
    elif slow:
        stage = Stage.RULE
        summary = (
            f"the group {slow[0].name} takes up to {slow[0].slowest:.3g} s, longer than its "
            f"interval of {slow[0].interval:g} s, so that evaluations are left out"
        )
    elif holes:
        worst = max(holes, key=lambda hole: hole.seconds)
        stage = Stage.PROMETHEUS
        summary = (
            f"Prometheus did not evaluate the group {worst.name} for {worst.seconds:.1f} s"
            f"{_where(case, worst)}"
        )
    else:
        stage = Stage.PROMETHEUS
        what = ", ".join(unseen or [each.name for each in left_out])
        summary = f"Prometheus did not evaluate every group at its interval: {what}"
    return (
        CheckResult(
            name=name, passed=False, stage=stage, summary=summary, details=tuple(lines[:DETAILS])
        ),
    )


def check_scrapes(case: Case, health: RuleHealth) -> tuple[CheckResult, ...]:
    """Every target was scraped at its interval and answered."""
    stood = [*_starved(health, "prometheus"), *_standstills(health), *_blind(case)]
    found: list[tuple[Stage, str]] = [
        (_stage(target.partition(" ")[0]), f"{target}: never scraped")
        for target in health.unscraped
        if target.partition(" ")[0] not in case.evidence.run.own_jobs
    ]
    scrapes = [each for each in health.scrapes if each.job not in case.evidence.run.own_jobs]
    for each in scrapes:
        component = component_of(each.job, case.evidence.run.service)
        # Prometheus itself is not there to be scraped by itself: the evaluations say so.
        meant = (
            *intended(case, component, "scrapes", each.name), *_starved(health, component),
        )  # fmt: skip
        cadence = _until_replaced(each, scrapes)
        what = f"{each.job} at {each.name}"
        found += [
            (Stage.PROMETHEUS, _hole_line(case, what, hole, "not scraped"))
            for hole in _holes(cadence, [*stood, *meant], MIN)
        ]
        found += [
            (_stage(each.job), line) for line in _failures(case, each, [*stood, *meant], what)
        ]
    count = sum(each.count for each in scrapes)
    fine = f"{count} scrapes of {len(scrapes)} targets, without holes"
    wrong = [CheckFinding(line, stage) for stage, line in found]
    return (
        finding_result("scrapes", Stage.PROMETHEUS, fine, wrong),
        *(
            not_applicable(f"scrapes of {job}", Stage.PROMETHEUS, OWN_JOB)
            for job in case.evidence.run.own_jobs
        ),
    )


def check_exports(case: Case, health: RuleHealth) -> tuple[CheckResult, ...]:
    """Every process exported its metrics at its interval, as Prometheus has them."""
    pipeline, interval = case.evidence.snapshot.pipeline, case.evidence.run.export_interval
    if pipeline is None or interval is None or "collector" in case.evidence.run.without:
        return ()
    found: list[CheckFinding] = []
    cadences = [
        _exports(each.instance, [export.time for export in each.exports], interval, case)
        for each in pipeline.processes
    ]
    for each in cadences:
        component = each.name.partition("-")[0]
        meant = [
            *_starved(health, component, "collector", "prometheus"),
            *intended(case, component, "exports", each.name),
            *intended(case, "collector", "exports"),
            *intended(case, "prometheus", "exports"),
            *_unreceived(case),
        ]
        for hole in _holes(_until_replaced(each, cadences), meant, MIN_EXPORT):
            line = _hole_line(case, f"{each.name}", hole, "no export arrived")
            found.append(CheckFinding(line, _export_stage(hole, health, cadences)))
    count = sum(each.count for each in cadences)
    fine = f"{count} exports of {len(cadences)} processes, without holes"
    return (finding_result("exports", Stage.EXPORT, fine, found),)


def intended(
    case: Case, component: str, what: str, instance: str | None = None
) -> tuple[Stretch, ...]:
    """When the run itself stopped a component, or cut off scrapes or exports.

    Args:
        case: gives the timeline and the scenario.
        component: name of a component of the stack.
        what: ``evaluations``, ``scrapes`` or ``exports``.
        instance: a replica, which its supervisor may have ended.
    """
    timeline = case.evidence.timeline
    found = []
    for event in timeline:
        if event.event == "component_stopped" and event.name == component:
            back = [
                other.time
                for other in timeline
                if other.event == "component_started"
                and other.name == component
                and other.time > event.time
            ]
            until = min(back, default=case.evidence.snapshot.ended_at)
            found.append(Stretch(start=event.time, end=until + RECOVERY))
        elif (event.event == "load_ended" and component == LOAD) or (
            event.event in {"replica_stopped", "replica_crashed"} and event.name == instance
        ):
            found.append(Stretch(start=event.time, end=case.evidence.snapshot.ended_at))
    for phase in case.scenario.phases:
        played = case.phase(phase.name)
        if played is not None and any(
            what in fault.cuts and (fault.hits is None or component in fault.hits)
            for fault in phase.faults
        ):
            found.append(Stretch(start=played.start, end=played.end + RECOVERY))
    return tuple(found)


def _unreceived(case: Case) -> tuple[Stretch, ...]:
    """When the run's Prometheus was not there yet.

    What the Collector is sent meanwhile waits in its queue, which a scenario may make small.
    """
    ready = (
        event.time
        for event in case.evidence.timeline
        if event.event == "component_ready" and event.name == "prometheus"
    )
    began = case.evidence.snapshot.started_at
    return tuple(Stretch(start=began, end=time) for time in list(ready)[:1])


def _exports(name: str, times: Sequence[float], interval: float, case: Case) -> Cadence:
    return Cadence(
        name=name,
        interval=interval,
        count=len(times),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        pauses=pauses(
            times, longer=INTERVALS * interval, until=case.evidence.snapshot.ended_at
        ),
    )  # fmt: skip


def _holes(cadence: Cadence, excused: Iterable[Stretch], minimum: float) -> tuple[Hole, ...]:
    """Pauses that are too long even without what is excused."""
    away = list(excused)
    limit = max(INTERVALS * cadence.interval, minimum)
    found = []
    for pause in cadence.pauses:
        left = pause.seconds - _covered(pause, away)
        if left > limit:
            found.append(Hole(cadence.name, cadence.job, pause.start, pause.end, left))
    return tuple(found)


def _covered(pause: Stretch, others: Iterable[Stretch]) -> float:
    """Seconds of a stretch that others cover, each second once."""
    total, reached = 0.0, pause.start
    for each in sorted(others, key=lambda other: other.start):
        start, end = max(each.start, reached), min(each.end, pause.end)
        if end > start:
            total += end - start
            reached = end
    return total


def _starved(health: RuleHealth, *components: str) -> tuple[Stretch, ...]:
    """When the machine let nothing run, or one of the components not."""
    if health.pace is None:
        return ()
    waits = (wait for each in components for wait in health.pace.waits.get(each, ()))
    return (*health.pace.stalls, *waits)


def _standstills(health: RuleHealth) -> tuple[Stretch, ...]:
    """When Prometheus neither scraped any target nor evaluated any group."""
    watched = [each for each in (*health.evaluations, *health.scrapes) if each.count]
    lasting = [each for each in watched if not _ended_early(each, watched)]
    if len(lasting) < 2:  # noqa: PLR2004 - of one alone nobody knows
        return ()
    shared = list(lasting[0].pauses)
    for each in lasting[1:]:
        shared = [
            Stretch(start=max(a.start, b.start), end=min(a.end, b.end))
            for a in shared
            for b in each.pauses
            if min(a.end, b.end) > max(a.start, b.start)
        ]
    return tuple(shared)


def _blind(case: Case) -> tuple[Stretch, ...]:
    """When Prometheus was gone, too short a time for what is seldom to show it."""
    return tuple(Stretch(start=each.start, end=each.end) for each in blind(case, EVALUATES))


def _ended_early(each: Cadence, others: Sequence[Cadence]) -> bool:
    """Whether another of its job came after it, as that of a replica that was started again."""
    return any(
        other.job == each.job
        and other.name != each.name
        and other.last is not None
        and each.last is not None
        and other.last > each.last + MIN
        and other.first is not None
        and each.first is not None
        and other.first > each.first
        for other in others
        if each.job == names.JOB_API
    )


def _until_replaced(each: Cadence, others: Sequence[Cadence]) -> Cadence:
    """Without the pause that lasts to the end, where another process took its place."""
    kind = each.name.partition("-")[0]
    replaced = any(
        other.name != each.name
        and (other.job, other.name.partition("-")[0]) == (each.job, kind)
        and other.first is not None
        and each.last is not None
        and other.first > each.last
        for other in others
    )
    if not replaced:
        return each
    retained = tuple(pause for pause in each.pauses if pause.start != each.last)
    return each.model_copy(update={"pauses": retained})


def _named(health: RuleHealth, holes: Iterable[Hole]) -> list[Cadence]:
    wanted = {hole.name for hole in holes}
    return [each for each in health.evaluations if each.name in wanted]


def _overlaps(hole: Hole, other: Stretch) -> bool:
    shared = min(hole.end, other.end) - max(hole.start, other.start)
    return shared > (hole.end - hole.start) / 2


def _ratio_missed(each: Cadence) -> float:
    return each.missed / (each.missed + each.count) if each.count else 0.0


def _failures(case: Case, each: Cadence, excused: Sequence[Stretch], what: str) -> Iterable[str]:
    limit = max(INTERVALS * each.interval, MIN)
    left = each.failures
    for stretch in each.failing:
        covered = _covered(stretch, excused)
        if stretch.seconds - covered <= limit:
            left -= round(stretch.count * covered / stretch.seconds) if covered else 0
            continue
        hole = Hole(each.name, each.job, stretch.start, stretch.end, stretch.seconds - covered)
        yield _hole_line(case, what, hole, "did not answer its scrapes")
        left -= stretch.count
    if each.count and left / each.count > FAILURES:
        yield f"{what}: {left} of {each.count} scrapes failed"


def _stage(job: str) -> Stage:
    return STAGES.get(component_of(job), Stage.PROMETHEUS)


def _export_stage(hole: Hole, health: RuleHealth, cadences: Sequence[Cadence]) -> Stage:
    """Who is to blame for a hole in the exports of one process."""

    def failed(job: str, instance: str | None = None) -> bool:
        return any(
            _overlaps(hole, stretch)
            for each in health.scrapes
            if each.job == job and instance in {None, each.name}
            for stretch in each.failing
        )

    if failed(names.JOB_API, hole.name):
        return Stage.SERVICE
    if failed(names.JOB_COLLECTOR):
        return Stage.COLLECTOR
    silent = [each for each in cadences if any(_overlaps(hole, pause) for pause in each.pauses)]
    if len(silent) == len(cadences) > 1:
        return Stage.COLLECTOR
    return Stage.DRIFT_JOB if hole.name.startswith("drift") else Stage.EXPORT


def _hole_line(case: Case, what: str, hole: Hole, how: str = "not evaluated") -> str:
    return f"{what}: {how} for {hole.seconds:.1f} s{_where(case, hole)}"


def _where(case: Case, hole: Hole) -> str:
    phase = case.phase_at(hole.start) or case.phase_at(hole.end)
    since = hole.start - case.evidence.snapshot.started_at
    return f" in {phase}, {since:.1f} s into the run" if phase else f", {since:.1f} s into the run"
