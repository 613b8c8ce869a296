"""Repetitions of the catalogue: which seed was played on what, and what became of it.

``python -m testbed.playall --record FILE`` adds a line to a file; the reference shows those of
:data:`FILE`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict
from testbed_domain.linefile import append_json

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE: Final = Path(__file__).with_name("repetitions.jsonl")
"""Those that the reference shows; what a miss was is added by hand, as its remark."""


class Repetition(BaseModel):
    """All scenarios, played once.

    Attributes:
        day: on which it ended.
        seed: of all its runs.
        jobs: stacks at a time.
        processors: of the machine.
        minutes: from the first start to the last end.
        scenarios: how many were played.
        missed: name of each that did not pass, to why.
        again: those that were too slow beside others, and were played once more alone.
        remark: what the misses were, or what else is to be known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: dt.date
    seed: int
    jobs: int
    processors: int
    minutes: float
    scenarios: int
    missed: dict[str, str]
    again: tuple[str, ...] = ()
    remark: str = ""


def record(repetition: Repetition, file: Path) -> None:
    """Add a line to a file."""
    append_json(file, repetition.model_dump(mode="json"))


def read_repetitions(file: Path) -> tuple[Repetition, ...]:
    """Those of a file, in order; none where it is not there."""
    if not file.exists():
        return ()
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(map(Repetition.model_validate_json, lines))


def summary(repetitions: Sequence[Repetition]) -> str:
    """What they say together, and no more than that."""
    runs = sum(each.scenarios for each in repetitions)
    missed = sum(len(each.missed) for each in repetitions)
    text = f"{runs} runs in {len(repetitions)} repetitions, {runs - missed} passed"
    if missed or not runs:
        return f"{text}, {missed} did not" if runs else text
    # The rule of three: 95 % confidence after so many without one.
    return f"{text}: with 95 % confidence, fewer than {300 / runs:.1f} % of such runs fail"
