"""What RETRAIN starts: a process of its own, not too often, whose failure is an outcome."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final, Self

from testbed_drift.quality.trial import Retraining
from testbed_drift.settings import ENV_PREFIX, DriftSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.storage.reports import ReportStore

logger = logging.getLogger(__name__)

STEP: Final = 0.1  # seconds between two looks at the process
GRACE: Final = 5.0  # seconds to end after SIGTERM
LONGEST: Final = 500  # characters of a message
# What the process is notified of the run that started it, beside the job's own settings.
REPORT_VARIABLE: Final = "TESTBED_RETRAIN_REPORT"
VERSION_VARIABLE: Final = "TESTBED_RETRAIN_MODEL_VERSION"
COMMAND: Final = "command "


@dataclass(slots=True)
class Hook:
    """Starts what the settings say.

    Attributes:
        argv: the command line.
        own: whether it is ours and reports its result as JSON; else its exit code is all.
        environment: variables of the process.
        journal: keeps results; what stands there last begins the cool-down.
        cooldown: seconds from one start to the next, tries for want of rows aside.
        timeout: seconds after which the process is ended.
        clock: Unix time.
        wait: waits so many seconds; True when the job itself must stop.
    """

    argv: tuple[str, ...]
    own: bool
    environment: Mapping[str, str]
    journal: ReportStore
    cooldown: float
    timeout: float
    clock: Callable[[], float]
    wait: Callable[[float], bool]

    @classmethod
    def of(
        cls,
        settings: DriftSettings,
        journal: ReportStore,
        clock: Callable[[], float],
        wait: Callable[[float], bool],
    ) -> Self | None:
        """The hook that the settings ask for, or None."""
        if settings.on_retrain == "off":
            return None
        own = settings.on_retrain == "builtin"
        argv = (
            (sys.executable, "-m", "testbed_drift", "retrain")
            if own
            else tuple(shlex.split(settings.on_retrain.removeprefix(COMMAND)))
        )
        times = settings.retrain_cooldown, settings.retrain_timeout
        return cls(argv, own, variables(settings), journal, *times, clock, wait)

    def last(self) -> Retraining | None:
        """What came of the last one, in this process or another one."""
        try:
            return Retraining.from_dict(self.journal.read_retraining())
        except ValueError:
            return None

    def call(self, result: RunResult) -> Retraining | None:
        """Start it for a run that decided on RETRAIN, unless it is too soon; wait for its end."""
        now, last = self.clock(), self.last()
        if last and last.outcome != "too_few_rows" and 0 <= now - last.started < self.cooldown:
            return None
        found = Retraining("failed", "it was interrupted", result.model_version, now)
        # Kept before it starts: a job that is killed meanwhile does not begin again at once.
        if not self._store(found, ended=False):
            return None
        found = self._run(found, result)
        found = replace(found, started=now, seconds=max(0.0, self.clock() - now))
        self._store(found, ended=True)
        logger.log(
            logging.WARNING if found.outcome == "failed" else logging.INFO,
            "retraining: %s: %s",
            found.outcome,
            found.message,
        )
        return found

    def _store(self, found: Retraining, *, ended: bool) -> bool:
        try:
            self.journal.write_retraining(found.to_dict())
            if ended:
                self.journal.append_retraining(found.to_dict())
        except OSError as error:
            logger.error("cannot store the retraining: %s", error)  # noqa: TRY400 - one line will do
            return False
        return True

    def _run(self, found: Retraining, result: RunResult) -> Retraining:
        predicted = {VERSION_VARIABLE: result.model_version}
        if result.finding and result.finding.json:
            predicted[REPORT_VARIABLE] = str(result.finding.json.resolve())
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            try:
                problem = self._wait_for(output, os.environ | self.environment | predicted)
            except OSError as error:
                return replace(found, message=f"cannot start {self.argv[0]}: {error.strerror}")
            output.seek(0)
            lines = [line.strip() for line in output.read().splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        if self.own:  # one that failed says why, and ends with another code than 0
            with contextlib.suppress(ValueError):
                return Retraining.from_dict(json.loads(last))
            problem = problem or "it reported no result"
        if problem is None:
            return replace(found, outcome="called", message=last[:LONGEST] or "ended with 0")
        return replace(found, message=f"{problem}: {last[:LONGEST]}".rstrip(": "))

    def _wait_for(self, output: IO[str], environment: Mapping[str, str]) -> str | None:
        """Run the process; what was wrong with it, or None."""
        process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C is the job's to handle; what it starts ends with it
        )
        deadline = time.monotonic() + self.timeout
        try:
            while process.poll() is None:
                if self.wait(STEP):
                    return "the drift job was stopped"
                if time.monotonic() > deadline:
                    return f"it took longer than {self.timeout:g} s"
        finally:
            _end(process)
        return f"it ended with {process.returncode}" if process.returncode else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return


def variables(settings: DriftSettings) -> dict[str, str]:
    """Settings as the variables that they can be read from, windows of the log aside."""
    values = settings.model_dump(exclude={"reference_window", "current_window"}, exclude_none=True)
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in values.items()}
