"""Plays a scenario on the console's stack, as ``testbed run SCENARIO --stack`` does."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from testbed.consoleapp.runfolder import RunFolder
from testbed.errors import EXIT_COULD_NOT_RUN, UsageError
from testbed.layout import RunLayout
from testbed.stack.composeconfiguration import STACK_FILE
from testbed.stack.process import read_tail

if TYPE_CHECKING:
    from pathlib import Path

LOG: Final = "played"
"""Name of the log of what was played last."""
OUTCOMES: Final = {0: "passed", 1: "failed", EXIT_COULD_NOT_RUN: "could not be played"}


@dataclass(frozen=True, slots=True)
class ScenarioChoice:
    """A scenario.

    Attributes:
        name: of it.
        title: of it.
        refused: why this stack can't play it; None where it can.
    """

    name: str
    title: str
    refused: str | None


class Player:
    """Plays one scenario at a time.

    Args:
        run: the stack's run.
        runs: folder of all runs, which gets those that are played.
    """

    def __init__(self, run: RunFolder, runs: Path) -> None:
        self._run = run
        self._runs = runs
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._choices: tuple[ScenarioChoice, ...] | None = None
        self.name = ""
        self.folder: RunFolder | None = None

    @property
    def stack(self) -> Path:
        """The stack's description of itself; missing where it was started for no scenario."""
        return self._run.layout.config / STACK_FILE

    @property
    def running(self) -> bool:
        """Whether one is played."""
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Exit code of the last one; None where none has ended."""
        return None if self._process is None else self._process.poll()

    def said(self) -> str:
        """What became of the last one, in a sentence; empty where there is none."""
        if self._process is None:
            return ""
        if self.running:
            return f"{self.name} is played on this stack."
        if self._stopped:
            return f"{self.name} was stopped."
        outcome = OUTCOMES.get(self.code or 0, "was ended")
        why = ""
        if self.code not in {0, 1}:
            lines = read_tail(self._run.layout.logs / f"{LOG}.log").strip().splitlines()
            why = f": {lines[-1].removeprefix('testbed: ').removesuffix('.')}" if lines else ""
        return f"{self.name} {outcome}{why}."

    def choices(self) -> tuple[ScenarioChoice, ...]:
        """The scenarios that ship, and which of them this stack can play."""
        if self._choices is None:
            self._choices = tuple(_choices(self.stack))
        return self._choices

    def start(self, name: str) -> None:
        """Play a scenario.

        Raises:
            UsageError: this stack can't play it, or plays already.
        """
        if self.running:
            raise UsageError(f"{self.name} is played; stop it first, or wait for its end")
        choice = next((each for each in self.choices() if each.name == name), None)
        if choice is None:
            raise UsageError("there is no such scenario")
        if choice.refused is not None:
            raise UsageError(f"{name} can't be played on this stack: {choice.refused}")
        now = datetime.now(UTC)
        out = self._runs / f"{now:%Y%m%dT%H%M%S}-{name}-console"
        command = [sys.executable, "-m", "testbed.entry", "run", name, "--stack", str(self.stack)]
        command += ["--time-scale", f"{self._run.factor:g}", "--out", str(out)]
        with (self._run.layout.logs / f"{LOG}.log").open("wb") as log:
            # Of this process's session, so that it ends with the stack.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.name, self.folder = name, RunFolder(RunLayout(out))
        self._stopped = False

    def stop(self) -> None:
        """Interrupt what is played; nothing where nothing is."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGINT)
            self._stopped = True


def _choices(stack: Path) -> list[ScenarioChoice]:
    # Takes a second to import, which the start of a stack must not wait for.
    from testbed.attached import read_attachment  # noqa: PLC0415 - see above
    from testbed.attachedrefusals import refuse_other_start  # noqa: PLC0415 - see above
    from testbed.composebasics import TIME_SCALE  # noqa: PLC0415 - see above
    from testbed.playsession import needs_own_stack  # noqa: PLC0415 - see above
    from testbed.resources import scenario_files  # noqa: PLC0415 - see above
    from testbed.scenario import read_scenario  # noqa: PLC0415 - see above
    from testbed.scenarioenv import scenario_environment  # noqa: PLC0415 - see above
    from testbed.settings import load_settings  # noqa: PLC0415 - see above

    settings = load_settings()
    started = read_attachment(stack).environment if stack.is_file() else None
    found = []
    for name, file in scenario_files().items():
        scenario, refused = read_scenario(file), None
        if needs_own_stack(scenario):
            refused = f"it needs hold of the processes: testbed run {name}"
        elif started is None:
            refused = f"the stack was started for none: testbed up --scenario {name}"
        else:
            factor = float(started[TIME_SCALE])
            try:
                refuse_other_start(
                    scenario, scenario_environment(scenario, factor, settings), started
                )
            except UsageError:
                refused = f"it needs other settings: testbed up --scenario {name}"
        found.append(ScenarioChoice(name, scenario.title, refused))
    return found
