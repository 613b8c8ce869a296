"""Turns of a load on a service with telemetry and without it, on a running stack."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan

from testbed.bareload import play_load
from testbed.console import say
from testbed.overhead import Measurement, measured
from testbed.preparation import Prepared

if TYPE_CHECKING:
    from testbed.stack.stack import Stack
    from testbed.truth import Truth


@dataclass(frozen=True, slots=True)
class OverheadTurns:
    """Plays the load on a service with telemetry and without it.

    Attributes:
        prepared: the stack.
        stack: the same, running.
        folder: of all that is written.
        phases: of the load.
        seed: of the rows.
    """

    prepared: Prepared
    stack: Stack
    folder: Path
    phases: tuple[LoadPhase, ...]
    seed: int

    def __call__(self, number: int, *, telemetry: bool) -> Measurement:
        """Start the service anew and measure it.

        Raises:
            StackError: it can't be started, or the load could not be played.
        """
        target, name = self.prepared.context.target, self.prepared.context.target.name
        self.stack.stop_component(name)
        self.stack.replace_component(target.switched(telemetry=telemetry))
        self.stack.start_component(name)
        limit = self.prepared.context.settings.start_timeout
        self.stack.wait_component(name, time.monotonic() + limit)
        place = self.folder / f"round-{number + 1:02}-{'on' if telemetry else 'off'}"
        process = psutil.Process(self.stack.pid(name))
        before = _processor_time(process)
        truth = self._load(place, f"{number}-{'on' if telemetry else 'off'}")
        cpu, memory = _processor_time(process) - before, _memory(process)
        found = measured(number, truth, telemetry=telemetry, cpu=cpu, memory=memory)
        said = "with" if telemetry else "without"
        say(f"overhead: round {number + 1} {said} telemetry: {found.throughput:.0f} a second")
        return found

    def _load(self, place: Path, label: str) -> Truth:
        context = self.prepared.context
        plan = LoadPlan(
            run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-overhead-{label}",
            seed=self.seed,
            use_case=self.prepared.use_case,
            phases=self.phases,
            artefact=self.prepared.layout.model,
            labels=LabelPlan(ratio=0.0),
            timeout=context.settings.request_timeout,
            service=context.target.exchange(),
        )
        return play_load(plan, context.target.load_url(context), place, context.settings)


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _processor_time(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in _with_children(process)]
    return float(sum(each.user + each.system for each in times))


def _memory(process: psutil.Process) -> float:
    return float(sum(each.memory_info().rss for each in _with_children(process)))
