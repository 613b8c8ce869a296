"""``testbed capacity``: how many requests a second the service bears."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_domain.files import write_atomic
from testbed_load.command import locust_command
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, write_plan

from testbed.capacity import CapacityObjective, CapacityResult, RateStep, search, step_of
from testbed.cli.common import ReplicasOption, SeedOption, UseCaseOption
from testbed.console import BuildProgress, interruptible, out, say
from testbed.errors import EXIT_VERDICT_FAILED, StackError, UsageError
from testbed.live import LIVE_SCENARIO
from testbed.preparation import RunOptions, prepare
from testbed.report.knee import knee_table
from testbed.runstack import running_stack
from testbed.settings import load_settings
from testbed.sidebyside import last_line
from testbed.stack.environments import base_environment
from testbed.timeline import Timeline
from testbed.truth import read_truth
from testbed.usecasechoice import name_use_case

if TYPE_CHECKING:
    from testbed.settings import Settings

ENDING = 60.0
"""Seconds beyond a step that Locust may take: for its imports, and time-outs of requests."""


@dataclass(frozen=True, slots=True)
class RateProbe:
    """Plays one rate against a service.

    Attributes:
        host: base URL.
        folder: of all that is written.
        use_case: whose rows are sent.
        artefact: model artefact whose rows are sent; None takes the generator.
        seconds: that a step lasts.
        seed: of the rows.
        objective: what must hold.
        settings: effective settings.
    """

    host: str
    folder: Path
    use_case: str
    artefact: Path | None
    seconds: float
    seed: int
    objective: CapacityObjective
    settings: Settings

    def __call__(self, rate: float) -> RateStep:
        """Play it.

        Raises:
            StackError: the load could not be played.
        """
        number = len(list(self.folder.glob("step-*"))) + 1
        place = self.folder / f"step-{number:02}"
        place.mkdir(parents=True)
        phase = LoadPhase(name="step", duration=self.seconds, rate=rate)
        plan = LoadPlan(
            run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-capacity-{number}",
            seed=self.seed,
            use_case=self.use_case,
            phases=(phase,),
            artefact=self.artefact,
            labels=LabelPlan(ratio=0.0),
            timeout=self.settings.request_timeout,
        )
        write_plan(place / "load-plan.json", plan)
        command = locust_command(place / "load-plan.json", place, self.host)
        log = place / "load.log"
        with log.open("wb") as output:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=base_environment() | self.settings.load_environment(),
                    timeout=self.seconds + ENDING,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise StackError(f"the load of {rate:g} requests per second did not end") from None
        truth = read_truth(place)
        if done.returncode or truth.started_at is None:
            raise StackError(f"the load could not be played, see {log}: {last_line(log)}")
        step = step_of(rate, phase.planned(self.seed) or 1, truth, self.objective)
        held = "holds" if step.held else f"does not hold, because of the {step.limited_by}"
        say(f"capacity: {rate:g} requests per second: {step.good_ratio:.2%} are good, it {held}")
        return step


def capacity(
    *,
    host: Annotated[
        str | None,
        typer.Option(help="Base URL of a service that runs; default: a stack of one's own."),
    ] = None,
    objective: Annotated[float, typer.Option(help="Ratio of requests that must be good.")] = 0.99,
    latency: Annotated[
        float, typer.Option(min=0.001, help="Seconds in which a good one is answered, once due.")
    ] = 0.25,
    start: Annotated[float, typer.Option(min=1, help="First rate, in requests per second.")] = 50.0,
    most: Annotated[float, typer.Option(min=1, max=5000, help="Highest rate to try.")] = 2000.0,
    step: Annotated[float, typer.Option(min=1, help="Seconds of one step.")] = 10.0,
    precision: Annotated[
        float, typer.Option(min=0.01, max=1, help="Ends when the rates around it are so close.")
    ] = 0.1,
    at_least: Annotated[
        float | None, typer.Option(help="Exit 1 where the capacity is below this rate.")
    ] = None,
    use_case: UseCaseOption = None,
    replicas: ReplicasOption = 1,
    seed: SeedOption = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of what is written.")] = None,
) -> None:
    """Search the highest arrival rate that holds an objective, and draw its knee.

    Examples:

      testbed capacity

      testbed capacity --replicas 2 --latency 0.1 --at-least 300

      testbed capacity --host http://127.0.0.1:8000 --step 30
    """
    if not 0 < objective < 1:
        raise UsageError(f"--objective {objective:g}: give a ratio between 0 and 1, such as 0.99")
    wanted, settings = CapacityObjective(ratio=objective, latency=latency), load_settings()
    now = datetime.now(UTC)
    place = (folder or settings.loads / f"{now:%Y%m%dT%H%M%S}-capacity").resolve()
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place} is not empty; give --out a new folder")
    chosen = name_use_case(use_case, None, settings, LIVE_SCENARIO.use_case)
    artefact = None
    with interruptible():
        running: AbstractContextManager[object] = nullcontext()
        if host is None:
            options = RunOptions(use_case=chosen, seed=seed, time_scale=1, replicas=replicas)
            prepared = prepare(LIVE_SCENARIO, options, settings, progress=BuildProgress(), say=say)
            prepared.context.drift_plan = None
            artefact, url = prepared.layout.model, prepared.context.url("api:8000")
            running = running_stack(prepared, Timeline(prepared.layout.timeline), "capacity")
            say("capacity: starting the stack")
        elif replicas != 1:
            raise UsageError("--replicas: a service that runs has its own; leave it out")
        else:
            url = host
        with running:
            probe = RateProbe(url, place, chosen, artefact, step, seed, wanted, settings)
            found = search(probe, wanted, start=start, most=most, precision=precision)
    _show(found, place, json=json)
    if at_least is not None and (found.capacity or 0.0) < at_least:
        raise typer.Exit(EXIT_VERDICT_FAILED)


def _show(found: CapacityResult, place: Path, *, json: bool) -> None:
    from testbed.report.kneepage import knee_page  # noqa: PLC0415 - Plotly takes half a second

    write_atomic(place / "capacity.json", found.model_dump_json(indent=2) + "\n")
    write_atomic(place / "capacity.html", knee_page(found))
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    out.print(knee_table(found), highlight=False)
    out.print(f"page      {place / 'capacity.html'}", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(capacity)
