"""Drift: the columns that the job names are those that the load moved, by the load's own rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.checks.case import Case
    from testbed.facts.driftmoves import Move, Named
    from testbed.facts.published import Published
    from testbed.phases import PhaseRow

COLUMNS: Final = "drift columns"
LIMITS: Final = {True: 0.1, False: 0.05}
"""Least effect of a drifted column: standard deviations where it is numeric, else a share."""
CLEARLY: Final = 2.0
"""Times the limit from which an effect must be found in a window that is large enough."""
HARDLY: Final = 0.7
"""Times the limit below which no window can be called drifted but by chance."""
MIN_ROWS: Final = 400
"""Rows of a phase below which its effect is mostly noise: 0.06 standard deviations at 400."""
EDGE: Final = 0.5
"""Real seconds of a phase's edge in which rows of both may stand."""


def check_columns(case: Case, facts: Published) -> tuple[CheckResult, ...]:
    """What moved clearly is named, what did not is not."""
    if not facts.named:
        reason = "the drift job evaluated no window of this model"
        return (not_applicable(COLUMNS, Stage.DRIFT_JOB, reason),)
    wanted = case.scenario.expected_columns
    faults = _against(wanted, facts) if wanted is not None else _by_load(case, facts)
    reported = sorted({name for run in facts.named for name in run.columns})
    seen = f"the drift job names {', '.join(reported) or 'no column'}"
    text = f"{seen}, as {'the scenario expects' if wanted is not None else 'the load moved them'}"
    if not reported and wanted is None:
        text = f"{seen}, and the load moved none clearly"
    if faults:
        text = f"{seen}; {'; '.join(faults[:3])}"
    result = CheckResult(
        name=COLUMNS,
        passed=not faults,
        stage=Stage.DRIFT_JOB,
        summary=text,
        details=tuple(faults[:10]) if faults else tuple(_shown(facts)),
    )
    return (result,)


def _against(wanted: Sequence[str], facts: Published) -> list[str]:
    reported = {name for run in facts.named for name in run.columns}
    lacking, beyond = sorted(set(wanted) - reported), sorted(reported - set(wanted))
    return [
        f"{text} {', '.join(names)}"
        for text, names in (("it never names", lacking), ("the scenario does not expect", beyond))
        if names
    ]


def _by_load(case: Case, facts: Published) -> list[str]:
    effects = {(move.phase, move.column): move for move in facts.moves}
    return [*_missed(case, facts), *_invented(case, facts, effects)]


def _missed(case: Case, facts: Published) -> Iterator[str]:
    """Columns that moved so far in a phase that a window of it must show them."""
    for move in facts.moves:
        phase = case.phase(move.phase)
        within = [run for run in facts.named if phase and _within(run, phase)]
        sure = [run for run in within if _must_show(move, run, facts)]
        if sure and not any(move.column in run.columns for run in within):
            yield (
                f"the load moved {move.column} by {move.effect:.2f} in {move.phase} (limit "
                f"{LIMITS[move.numeric]:g}), and none of {len(sure)} windows within it says so"
            )


def _must_show(move: Move, run: Named, facts: Published) -> bool:
    """Whether the effect passes limit and test of a window of so many rows for certain.

    A numeric column that moves by one standard deviation has its distribution functions at most
    0.38 apart; the Kolmogorov-Smirnov test then needs ``2 n d**2 >= log(2 / alpha)``, and eight
    more for a window that is less typical. A share that moves is found sooner.
    """
    if move.effect < CLEARLY * LIMITS[move.numeric]:
        return False
    reference = max((window.registered for window in facts.windows), default=run.rows)
    rows = run.rows * reference / (run.rows + reference)
    columns = len({one.column for one in facts.moves})
    alpha = (facts.level or 0.001) / max(facts.planned, 1) * 0.2 / columns
    needed = math.sqrt((math.log(2 / alpha) + 8) / (2 * rows))
    return move.effect * (0.38 if move.numeric else 1.0) >= needed


def _invented(case: Case, facts: Published, effects: dict[tuple[str, str], Move]) -> Iterator[str]:
    """Columns that no phase of a window moved."""
    for run in facts.named:
        phases = [phase for phase in case.phases if _touches(run, phase)]
        for column in run.columns:
            found = [effects.get((phase.name, column)) for phase in phases]
            known = [move for move in found if move is not None and move.rows >= MIN_ROWS]
            if len(known) < len(found) or not found:
                continue
            largest = max(known, key=lambda move: move.largest)
            if largest.largest < HARDLY * LIMITS[largest.numeric]:
                yield (
                    f"run {run.run + 1} names {column}, which the load moved by "
                    f"{largest.largest:.2f} at most (limit {LIMITS[largest.numeric]:g})"
                )


def _within(run: Named, phase: PhaseRow) -> bool:
    return phase.start - EDGE <= run.start and run.end <= phase.end + EDGE


def _touches(run: Named, phase: PhaseRow) -> bool:
    return run.start <= phase.end + EDGE and phase.start - EDGE <= run.end


def _shown(facts: Published) -> Iterator[str]:
    """The columns that moved furthest, for a reader who wonders."""
    limit = [move for move in facts.moves if move.effect >= CLEARLY * LIMITS[move.numeric]]
    for move in sorted(limit, key=lambda one: -one.effect)[:5]:
        yield f"the load moved {move.column} by {move.effect:.2f} in {move.phase}"
