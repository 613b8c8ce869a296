"""``testbed overhead``: what telemetry costs a service."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer
from testbed_domain.files import write_atomic
from testbed_load.command import locust_command
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, write_plan

from testbed.cli.common import SeedOption, UseCaseOption
from testbed.console import BuildProgress, interruptible, out, say
from testbed.errors import StackError, UsageError
from testbed.live import LIVE_SCENARIO
from testbed.overhead import (
    MEASURED,
    WARM_UP,
    Measurement,
    compare,
    measured,
    order,
    overhead_table,
)
from testbed.preparation import Prepared, RunOptions, prepare
from testbed.runstack import running_stack
from testbed.servicefile import read_service
from testbed.settings import load_settings
from testbed.sidebyside import last_line
from testbed.stack.environments import base_environment
from testbed.timeline import Timeline
from testbed.truth import read_truth
from testbed.usecasechoice import name_use_case

if TYPE_CHECKING:
    from testbed.overhead import OverheadResult
    from testbed.stack.stack import Stack

ENDING = 60.0
"""Seconds beyond its load that Locust may take: for its imports, and time-outs of requests."""


@dataclass(frozen=True, slots=True)
class _Turns:
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
        place.mkdir(parents=True)
        process = psutil.Process(self.stack.pid(name))
        before = _processor_time(process)
        self._load(place, f"{number}-{'on' if telemetry else 'off'}")
        cpu, memory = _processor_time(process) - before, _memory(process)
        truth = read_truth(place)
        found = measured(number, truth, telemetry=telemetry, cpu=cpu, memory=memory)
        said = "with" if telemetry else "without"
        say(f"overhead: round {number + 1} {said} telemetry: {found.throughput:.0f} a second")
        return found

    def _load(self, place: Path, label: str) -> None:
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
        write_plan(place / "load-plan.json", plan)
        command = locust_command(place / "load-plan.json", place, context.target.load_url(context))
        log = place / "load.log"
        with log.open("wb") as output:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=base_environment() | context.settings.load_environment(),
                    timeout=plan.duration + ENDING,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise StackError(f"the load did not end, see {log}") from None
        if done.returncode or not any(place.glob("start.json")):
            raise StackError(f"the load could not be played, see {log}: {last_line(log)}")


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _processor_time(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in _family(process)]
    return float(sum(each.user + each.system for each in times))


def _memory(process: psutil.Process) -> float:
    return float(sum(each.memory_info().rss for each in _family(process)))


def overhead(
    *,
    service: Annotated[
        Path | None,
        typer.Option(help="File of your own service; default: the API that comes along."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=2, max=100, help="Rounds, each with telemetry and without it.")
    ] = 5,
    seconds: Annotated[
        float, typer.Option(min=1, help="Seconds of load that count, of each.")
    ] = 10.0,
    warm_up: Annotated[float, typer.Option(min=1, help="Seconds of load before these.")] = 3.0,
    users: Annotated[
        int | None, typer.Option(min=1, help="Users that send once they are answered; default: 8.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Requests per second, in place of users.")
    ] = None,
    use_case: UseCaseOption = None,
    seed: SeedOption = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of what is written.")] = None,
) -> None:
    """Measure what telemetry costs: the same load with it and without it, in turns.

    The API goes without it by OTEL_SDK_DISABLED=true, a service as `overhead:` of its file says.

    Examples:

      testbed overhead

      testbed overhead --rounds 10 --rate 100

      testbed overhead --service service.yaml --users 4 --json
    """
    if users is not None and rate is not None:
        raise UsageError("give one of --users and --rate")
    settings = load_settings()
    target = None if service is None else read_service(service)
    now = datetime.now(UTC)
    place = (folder or settings.loads / f"{now:%Y%m%dT%H%M%S}-overhead").resolve()
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place} is not empty; give --out a new folder")
    closed = (users or 8) if rate is None else None
    phases = tuple(
        LoadPhase(name=name, duration=duration, rate=rate, users=closed)
        for name, duration in ((WARM_UP, warm_up), (MEASURED, seconds))
    )
    chosen = name_use_case(use_case, None, settings, LIVE_SCENARIO.use_case)
    with interruptible():
        if target is not None:
            target.switched(telemetry=False)  # refuses before anything starts
        options = RunOptions(
            use_case=chosen, seed=seed, time_scale=1, target=target, without=frozenset({"drift"})
        )
        prepared = prepare(LIVE_SCENARIO, options, settings, progress=BuildProgress(), say=say)
        prepared.context.drift_plan = None
        say("overhead: starting the stack")
        timeline = Timeline(prepared.layout.timeline)
        with running_stack(prepared, timeline, "overhead") as (stack, _):
            turn = _Turns(prepared, stack, place, phases, seed)
            found = [turn(number, telemetry=on) for number, on in order(rounds)]
    load = f"{closed} users" if closed else f"{rate:g} requests per second"
    _show(compare(prepared.context.target.name, load, found), place, json=json)


def _show(found: OverheadResult, place: Path, *, json: bool) -> None:
    write_atomic(place / "overhead.json", found.model_dump_json(indent=2) + "\n")
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    out.print(overhead_table(found))
    out.print(f"load      {found.load}, {found.rounds} rounds", highlight=False)
    if found.failed:
        out.print(f"failed    {found.failed} requests", highlight=False)
    out.print(f"written   {place / 'overhead.json'}", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(overhead)
