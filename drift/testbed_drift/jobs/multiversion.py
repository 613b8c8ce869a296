"""The drift job for several model versions: its own, and those that the window holds beside it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from testbed_drift.evaluation.results import RunResult
from testbed_drift.jobs.versionjobs import VersionRun, VersionTask, run_version
from testbed_drift.workers import Broken, failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from testbed_domain.logstore import PredictionLog

    from testbed_drift.jobs.watching import Watched
    from testbed_drift.settings import DriftSettings
    from testbed_drift.workers import Workers

logger = logging.getLogger(__name__)


class VersionsPublisher(Protocol):
    """Takes the results of versions."""

    def publish(self, version: str, found: VersionRun | RunResult) -> None:
        """Take one over."""

    def forget(self, versions: set[str]) -> None:
        """End the values of all versions but these."""


@dataclass(slots=True)
class MultiVersionJob:
    """Runs a job, and one beside it for each further version of the window.

    Attributes:
        job: of the version that the drift job is set up for.
        settings: of the drift job.
        open_log: opens the prediction log.
        publisher: takes the results of the other versions.
        clock: Unix time.
        announce: notified about every run of another version.
        workers: processes of the other versions, and of the job's segments; None runs them in turn
            in this one.
        others: results of the other versions in the last run.
    """

    job: Watched
    settings: DriftSettings
    open_log: Callable[[], AbstractContextManager[PredictionLog]]
    publisher: VersionsPublisher
    clock: Callable[[], float]
    announce: Callable[[RunResult], None]
    workers: Workers | None = None
    others: dict[str, RunResult] = field(default_factory=dict)

    def run_once(self) -> RunResult:
        """Run once for every version; the result is that of the job's own."""
        started = self.clock()
        tasks = self._tasks(started)
        collect = self.workers.start(run_version, tasks) if self.workers else None
        result = self.job.run_once()
        found = collect() if collect else {name: _alone(task) for name, task in tasks.items()}
        self.others = {}
        for version, run in found.items():
            self._take(version, run, started)
        self.publisher.forget(set(found))
        return result

    def _tasks(self, now: float) -> dict[str, VersionTask]:
        """The other versions of the window, those with most rows, by version."""
        span = self.settings.current_window
        start, end = (span.start, span.end) if span else (now - self.settings.window, now)
        try:
            with self.open_log() as log:
                found = log.versions(start, end)
        except Exception as error:  # noqa: BLE001 - the job's own version goes on, and says so too
            logger.error("cannot read the versions: %s", failure(error))  # noqa: TRY400 - one line
            return {}
        seen = [one for one in found if one.model_version != self.job.version]
        seen.sort(key=lambda one: (-one.rows, one.model_version))
        chosen = seen[: self.settings.versions - 1]
        if len(chosen) < len(seen):
            logger.warning(
                "%d versions in the window, %d evaluated: raise TESTBED_DRIFT_VERSIONS",
                len(seen) + 1,
                len(chosen) + 1,
            )
        return {one.model_version: VersionTask.of(self.settings, one) for one in chosen}

    def _take(self, version: str, run: VersionRun | Broken, started: float) -> None:
        if isinstance(run, Broken):
            seconds = max(0.0, self.clock() - started)
            result = RunResult(version, "error", started, seconds, run.message)
            self.publisher.publish(version, result)
        else:
            result = run.result
            self.publisher.publish(version, run)
        self.others[version] = result
        self.announce(result)


def _alone(task: VersionTask) -> VersionRun | Broken:
    try:
        return run_version(task)
    except Exception as error:  # noqa: BLE001 - the other versions go on
        return Broken(failure(error))
