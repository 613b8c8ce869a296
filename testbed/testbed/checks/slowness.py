"""Whether the machine was too slow for the time scale, so that nobody in the stack is to blame.

Three things must come together. Something failed, and all that failed is what a slow machine makes
fail. The runner's own work took far longer than the processor time that it needed. And components
lagged behind their times.

The disk does as well as the processors, where it took far longer than disks do to keep the runner's
own lines for some seconds, and answers were slow then and quick at other times: the bundled API
answers predictions once they are logged.

The drift job computes most, so a machine that is quick enough for all others may starve it. Where
only what waits for it failed, its own measurement does as well as the runner's: for how long it was
ready to work and no processor was free. Without that wait each run must have come in time, so a job
that computes or waits for its database too long is to blame.

Scrapes, evaluations and exports are not among what a slow machine makes fail: a component that
stands still is to blame for itself. Their checks take off what the kernel counts as its waits for a
processor that others had, and times in which the runner's own thread stood still, too. Such waits,
where they pile up, say as much of the machine as the runner's work: the scheduler may starve one
process and not its neighbour.

On a stack that others have started, such as that of Compose, each component has a share of the
processors of its own, and so has the runner: its work may go on quickly beside one that starves.
There, processors of which nothing is left say the same.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Final

from testbed.checks.results import AlertStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.checks.case import Case
    from testbed.checks.results import AlertRow, CheckResult
    from testbed.facts.pace import Pace
    from testbed.facts.rulehealth import RuleHealth
    from testbed.truth import Request

SLOWDOWN: Final = 4.0
"""Over a whole run; one run beside other work on two processors has 2, six busy loops make 20."""

WORST: Final = 8.0
"""Over ten seconds."""

FULL: Final = 0.97
"""Share of the processors' time that is used, over a whole run, where nothing was left of it."""

WAITED: Final = 0.9
"""Share of the time in which some task waits for a processor; one run alone on two has 0.35."""

STALLED: Final = 0.1
"""Share of the run in which nothing ran at all."""

STARVED: Final = 2.5
"""Seconds of :data:`AROUND` in which a component waited for a processor that others had."""

SLOWER: Final = 2.0
"""Times as many answers that are slow while the disk is, at least."""

WAITING: Final = 0.25
"""Share of the answers that are slow then, at least: a few are so at any time."""

AROUND: Final = 5.0
DRIFT: Final = "drift"

SPACING: Final = 1.5
"""Runs of the drift job that are further apart than so many intervals lag."""

MANY: Final = 0.01
"""Share of scrapes or exports that must be late before it says something of the machine."""

LAGGED: Final = 2.5
"""Intervals between two exports that make one late."""

LOAD_LAG: Final = 0.25
"""Seconds by which the load sends a request late."""

SCALES: Final = (60.0, 30.0, 20.0, 15.0, 12.0, 10.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)

# Names of checks, or beginnings of them, that a slow machine can make fail.
TIMED: Final = (
    "limit p95_seconds", "limit error_ratio", "limit load_", "drift decision", "drift job",
    "load requests", "load pace", "rule replay", "export failures", "timed assertion",
    "measured active",  # what a starved API has not read from its sockets is not in flight for it
)  # fmt: skip
CAUSES: Final = "drift causes"
"""A cause that is lacking may be one that a late run of the drift job would have found."""
BY_DRIFT: Final = (CAUSES, "drift decision", "drift job")
# Of these, what no time scale changes.
UNSCALED: Final = ("limit ", "load", "timed assertion", "measured active")
# What no slowness fires: these alerts stand on values, not on times.
OF_VALUES: Final = frozenset(
    {
        "DataDrift",
        "ConceptDrift",
        "EstimatedErrorHigh",
        "SegmentDrift",
        "RetrainingFailed",
        "ModelNotLoaded",
    }
)
# These wait for a run of the drift job to end, which is what a slow machine delays most.
OF_DRIFT: Final = frozenset(
    {
        "DataDrift",
        "ConceptDrift",
        "EstimatedErrorHigh",
        "SegmentDrift",
        "RetrainingFailed",
        "VersionUnwatched",
    }
)
_ALERT: Final = frozenset(
    {
        AlertStatus.LATE,
        AlertStatus.NOT_RESOLVED,
        AlertStatus.RESOLVED_LATE,
        AlertStatus.EARLY,
    }
)


def too_slow(case: Case, failed: Iterable[CheckResult], alerts: Iterable[AlertRow]) -> str | None:
    """A sentence that says what was measured and which time scale would work; None if it was not.

    Args:
        case: the run.
        failed: checks that did not pass.
        alerts: the table of alerts.
    """
    health = case.evidence.snapshot.rulehealth
    checks = tuple(failed)
    if not checks or health is None or health.pace is None:
        return None
    rows = tuple(alerts)
    processors = _strain(case, health.pace) or (
        _starved(case) if all(_waits_for_drift(check, rows) for check in checks) else None
    )
    measured = {"processors": processors, "disk": _slow_disk(case, health.pace)}
    strained = {part: said for part, said in measured.items() if said is not None}
    if not strained or not _all_timed(checks, rows):
        return None
    lags = tuple(_lags(case, health))
    if not lags:
        return None
    said = "; ".join((*strained.values(), *lags))
    advice = _advice(case, checks, f"free the {' and the '.join(strained)}")
    return f"the machine was too slow for this time scale: {said}. {advice}"


def _strain(case: Case, pace: Pace) -> str | None:
    """What the runner measured on itself, where that is too much."""
    if pace.slowdown >= SLOWDOWN or pace.worst >= WORST:
        return (
            f"work took {pace.slowdown:.1f} times the processor time that it needed "
            f"({pace.worst:.1f} times in the worst 10 s), the processors were {pace.busy:.0%} busy"
        )
    crowded = pace.busy >= FULL and (pace.waiting is None or pace.waiting >= WAITED)
    if case.evidence.run.attached and crowded:
        waited = (
            "" if pace.waiting is None else f", some task waited {pace.waiting:.0%} of the time"
        )
        return f"the processors were {pace.busy:.0%} busy{waited}"
    snapshot = case.evidence.snapshot
    stalled = sum(each.seconds for each in pace.stalls)
    if stalled >= STALLED * (snapshot.ended_at - snapshot.started_at):
        return f"nothing ran for {stalled:.1f} s, {pace.late:.1f} s at a time"
    component, piled = _piled(case, pace)
    if piled >= STARVED:
        return f"{component} waited {piled:.1f} s of {AROUND:g} s for a processor that others had"
    return None


def _slow_disk(case: Case, pace: Pace) -> str | None:
    """What the runner measured on the disk, where answers that wait for it waited for that."""
    elsewhere = case.scenario.settings.log.database is not None
    if pace.synced is None or case.evidence.run.service is not None or elsewhere:
        return None

    def while_slow(request: Request) -> bool:
        return any(
            each.start <= request.finished_at and request.sent_at <= each.end
            for each in pace.slow_disk
        )

    within: list[bool] = []
    outside: list[bool] = []
    for request in case.evidence.truth.requests:
        late = request.finished_at - request.sent_at > LOAD_LAG
        (within if while_slow(request) else outside).append(late)
    if not within or fmean(within) < max(WAITING, SLOWER * fmean(outside or [False])):
        return None
    return (
        f"the disk of the run's folder took {pace.synced:.2f} s to keep a line (average of "
        f"{AROUND:g} s), and {fmean(within):.0%} of the answers took longer than {LOAD_LAG:g} s "
        f"while it was slow, {fmean(outside or [False]):.0%} at other times"
    )


def _piled(case: Case, pace: Pace) -> tuple[str, float]:
    """The component that waited longest for a processor within a few seconds, and how long.

    What it waits while the scenario itself takes processors away says nothing of the machine. The
    drift job, which gives way to all others, is judged by its own measurement.
    """
    taken = [
        played
        for phase in case.scenario.phases
        if any(fault.crowds for fault in phase.faults)
        and (played := case.phase(phase.name)) is not None
    ]
    found = ("", 0.0)
    for component, waits in pace.waits.items():
        if component == DRIFT:
            continue
        outside = [w for w in waits if not any(p.start <= w.end <= p.end for p in taken)]
        for first in outside:
            until = first.start + AROUND
            waited = sum(w.seconds for w in outside if first.start <= w.start and w.end <= until)
            found = max(found, (component, waited), key=lambda each: each[1])
    return found


def _starved(case: Case) -> str | None:
    """What the drift job measured on itself, where that alone is why its runs lagged."""
    interval = case.evidence.run.drift_interval
    if not interval:
        return None
    limit, longest = SPACING * interval, 0.0
    for before, run in pairwise(case.evidence.drift_runs):
        apart = run.time - before.time
        if apart <= limit:
            continue
        if run.waited is None or apart - run.waited > limit:
            return None
        longest = max(longest, run.waited)
    return f"a run of the drift job waited {longest:.1f} s for a processor" if longest else None


def _waits_for_drift(check: CheckResult, alerts: tuple[AlertRow, ...]) -> bool:
    """Whether a check that failed is about what the drift job decides, and nothing else."""
    if check.name.startswith("alert "):
        return any(
            row.expected and row.alert in OF_DRIFT and f"alert {row.alert} in" in check.name
            for row in alerts
        )
    return check.name.startswith(BY_DRIFT)


def _all_timed(checks: Iterable[CheckResult], alerts: tuple[AlertRow, ...]) -> bool:
    """Whether a slow machine can be why each of the checks failed."""
    wrong = [row for row in alerts if not row.passed]
    return all(_timed(check, wrong) for check in checks)


def _timed(check: CheckResult, wrong: list[AlertRow]) -> bool:
    name = check.name
    if name == CAUSES:
        return not check.details  # its details are decisions on what they must not stand on
    if name.startswith("alert "):
        rows = [row for row in wrong if row.expected and f"alert {row.alert} in" in name]
        # What was notified before its phase, and has not ended since, is not notified once more.
        early = {row.alert for row in wrong if row.status is AlertStatus.EARLY and row.notified}
        return all(
            row.status in _ALERT
            or (row.status is AlertStatus.NOT_NOTIFIED and row.alert in early)
            or (row.status is AlertStatus.NEVER_FIRED and row.alert in OF_DRIFT)
            for row in rows
        )
    unexpected = [row for row in wrong if not row.expected]
    if name == "unexpected alerts":
        return all(row.alert not in OF_VALUES for row in unexpected)
    return name.startswith(TIMED)


def _lags(case: Case, health: RuleHealth) -> Iterator[str]:
    """What else lagged, one clause each."""
    failures = sum(each.failures for each in health.scrapes)
    if failures > MANY * sum(each.count for each in health.scrapes):
        yield f"{failures} scrapes were not answered in time"
    interval, spacing = case.evidence.run.drift_interval, _spacing(case)
    if interval and spacing is not None and spacing > SPACING * interval:
        yield (
            f"runs of the drift job were up to {spacing:.1f} s apart, its interval is "
            f"{interval:g} s"
        )
    late, exports = _late_exports(case)
    if late > MANY * exports:
        yield f"{late} of {exports} exports were late"
    requests = case.evidence.truth.requests
    behind = sum(r.lateness > LOAD_LAG for r in requests)
    missing = case.evidence.truth.missed
    if behind + missing > len(requests) / 100:
        yield f"the load sent {behind + missing} requests late or not at all"
    slow = sum(r.finished_at - r.sent_at > LOAD_LAG for r in requests)
    if slow > len(requests) / 20:
        yield f"{slow} of {len(requests)} answers took longer than {LOAD_LAG:g} s"


def _spacing(case: Case) -> float | None:
    """The most seconds from one run of the drift job to the next."""
    times = [run.time for run in case.evidence.drift_runs]
    return max((b - a for a, b in pairwise(times)), default=None)


def _late_exports(case: Case) -> tuple[int, int]:
    """How many exports came late, and how many there are."""
    pipeline, every = case.evidence.snapshot.pipeline, case.evidence.run.export_interval
    if pipeline is None or not every:
        return 0, 0
    gaps = [b.time - a.time for process in pipeline.processes for a, b in pairwise(process.exports)]
    return sum(gap > LAGGED * every for gap in gaps), len(gaps)


def _advice(case: Case, checks: Iterable[CheckResult], freed: str) -> str:
    """The time scale at which what came too late has the time that it took here, and half more."""
    if all(check.name.startswith(UNSCALED) for check in checks):
        return f"{freed.capitalize()}: rates and latencies are those of any time scale"
    interval, spacing = case.evidence.run.drift_interval, _spacing(case)
    ratio = spacing / interval if interval and spacing else 1.0
    fits = case.factor / max(2.0, 1.5 * ratio)
    if fits < 1:
        return f"{freed.capitalize()}: no time scale would make up for it"
    scale = next(scale for scale in SCALES if scale <= fits)
    return f"Run it with --time-scale {scale:g}, or {freed}"
