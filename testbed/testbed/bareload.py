"""A load that is played to its end outside a run, and what it sent and got back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from testbed_load.command import locust_command
from testbed_load.plan import write_plan

from testbed.errors import StackError
from testbed.sidebyside import last_line
from testbed.stack.environments import base_environment
from testbed.truth import read_truth

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_load.plan import LoadPlan

    from testbed.settings import Settings
    from testbed.truth import Truth

ENDING: Final = 60.0
"""Seconds beyond its plan that Locust may take: for its imports, and time-outs of requests."""


def play_load(plan: LoadPlan, host: str, folder: Path, settings: Settings) -> Truth:
    """Let Locust play a plan.

    Args:
        plan: what is sent.
        host: base URL of whom it is sent to.
        folder: gets the plan, Locust's log and the truth; it is made.
        settings: effective settings.

    Raises:
        StackError: it could not be played, or did not end.
    """
    folder.mkdir(parents=True)
    write_plan(folder / "load-plan.json", plan)
    log = folder / "load.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                locust_command(
                    folder / "load-plan.json", folder, host, processes=settings.load_processes
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=base_environment() | settings.load_environment(),
                timeout=plan.duration + ENDING,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StackError(f"the load did not end, see {log}") from None
    truth = read_truth(folder)
    if done.returncode or truth.started_at is None:
        raise StackError(f"the load could not be played, see {log}: {last_line(log)}")
    return truth
