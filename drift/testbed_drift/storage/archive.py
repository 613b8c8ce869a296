"""What happens to a run once it is reported: its place in the history, and the end of old ones."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from testbed_domain.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.storage.reports import ReportStore
    from testbed_drift.storage.retention import Retention

logger = logging.getLogger(__name__)

REPORTS: Final = "drift_*"
LINES: Final = ("runs.jsonl", "retraining.jsonl")
# Whole files are written anew, so that many lines go at a time.
RATIO: Final = 0.1


class Runs(Protocol):
    """Where runs are shown."""

    def add(self, result: RunResult) -> None:
        """Add one."""

    def snapshots(self) -> Iterable[Path]:
        """Files of all."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Keeps the output directory, and the workspace where there is one.

    Attributes:
        directory: of the reports.
        lines: writes its files of lines.
        retention: how much is kept.
        history: shows the runs; None where nobody does.
    """

    directory: Path
    lines: ReportStore
    retention: Retention
    history: Runs | None = None

    def take(self, result: RunResult) -> None:
        """Add a run and let go what is old, which a full disk has need of.

        Raises:
            OSError: a file can't be written or deleted.
        """
        try:
            if self.history is not None:
                self.history.add(result)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - Evidently's are of any kind
            logger.error("cannot add the run to the workspace: %s", error)  # noqa: TRY400 - one line
        finally:
            if not self.retention.everything:
                self._tidy(result.ended)

    def _tidy(self, now: float) -> None:
        reports: dict[str, list[Path]] = {}
        for path in self.directory.glob(REPORTS):
            reports.setdefault(path.stem, []).append(path)
        snapshots = [[path] for path in self.history.snapshots()] if self.history else []
        for kind in (list(reports.values()), snapshots):
            timed = [(max(path.stat().st_mtime for path in files), files) for files in kind]
            for files in self.retention.surplus(timed, now):
                for path in files:
                    path.unlink(missing_ok=True)
        for name in LINES:
            self._shorten(name, now)

    def _shorten(self, name: str, now: float) -> None:
        path = self.directory / name
        if not path.exists():
            return
        lines = read_regular(path).splitlines(keepends=True)
        going = self.retention.leading(lambda place: _time(lines[place]), len(lines), now)
        if going > RATIO * (len(lines) - going):
            self.lines.replace_lines(name, lines[going:])


def _time(line: bytes) -> float:
    record = json.loads(line)
    return float(record.get("started", 0.0))
