"""What is known of each run in a folder of runs, from the files that it left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from testbed_domain.files import read_regular

from testbed.layout import RunLayout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

Outcome = Literal["running", "passed", "failed", "too slow", "no verdict"]
DEFECTS: Final = (OSError, ValueError, TypeError, KeyError, RecursionError)
"""What reading a damaged file may raise; such a run is listed with what is known of it."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run.

    Attributes:
        id: of the run; the name of its folder.
        started: ISO time in UTC; None if its files don't say.
        scenario: name, or None.
        use_case: name, or None.
        outcome: of its verdict; ``running`` while its stack is up, ``no verdict`` where it ended
            without one, ``too slow`` where the machine was.
        seconds: from the start of the load to its evaluation; None without a verdict.
        path: its folder, absolute.
    """

    id: str
    started: str | None
    scenario: str | None
    use_case: str | None
    outcome: Outcome
    seconds: float | None
    path: str


def list_runs(folder: Path, running: Collection[str] = ()) -> list[RunRow]:
    """Every run in a folder, the newest first.

    Args:
        folder: of runs.
        running: ids of those whose stack is up.
    """
    rows = [
        _row(RunLayout(path), running=path.name in running)
        for path in folder.glob("*")
        if path.is_dir()
    ]
    return sorted(rows, key=lambda row: (row.started or "", row.id), reverse=True)


def played(folder: Path, scenario: str) -> Iterator[Path]:
    """Folders of the runs of a scenario, whatever became of them."""
    for path in folder.glob("*"):
        if _text(_read(RunLayout(path).run_file), "scenario") == scenario:
            yield path


def _row(layout: RunLayout, *, running: bool) -> RunRow:
    identity, verdict = _read(layout.run_file), _read(layout.verdict_file)
    return RunRow(
        id=layout.root.name,
        started=_started(identity),
        scenario=_text(identity, "scenario"),
        use_case=_text(identity, "use_case"),
        outcome="running" if running else _outcome(verdict),
        seconds=_seconds(verdict),
        path=str(layout.root.resolve()),
    )


def _outcome(verdict: dict[str, Any]) -> Outcome:
    if not isinstance(verdict.get("passed"), bool):
        return "no verdict"
    if verdict.get("too_slow"):
        return "too slow"
    return "passed" if verdict["passed"] else "failed"


def _seconds(verdict: dict[str, Any]) -> float | None:
    try:
        return round(float(verdict["ended_at"]) - float(verdict["started_at"]), 1)
    except DEFECTS:
        return None


def _started(identity: dict[str, Any]) -> str | None:
    try:
        return datetime.fromisoformat(identity["started"]).isoformat(timespec="seconds")
    except DEFECTS:
        return None


def _text(identity: dict[str, Any], name: str) -> str | None:
    value = identity.get(name)
    return value if isinstance(value, str) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_regular(path))
    except DEFECTS:
        return {}
    return found if isinstance(found, dict) else {}
