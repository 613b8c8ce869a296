"""``testbed capacity``: how many requests a second the service bears."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_domain.files import write_atomic

from testbed.cli.common import ReplicasOption, SeedOption, UseCaseOption
from testbed.console import BuildProgress, interruptible, out, say
from testbed.errors import EXIT_VERDICT_FAILED, UsageError
from testbed.settings import load_settings

if TYPE_CHECKING:
    from testbed.capacity import CapacityResult


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
    max_rate: Annotated[float, typer.Option(min=1, max=5000, help="Highest rate to try.")] = 2000.0,
    step: Annotated[float, typer.Option(min=1, help="Seconds of one step.")] = 10.0,
    precision: Annotated[
        float, typer.Option(min=0.01, max=1, help="Ends when the rates around it are so close.")
    ] = 0.1,
    min_capacity: Annotated[
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

      testbed capacity --replicas 2 --latency 0.1 --min-capacity 300

      testbed capacity --host http://127.0.0.1:8000 --step 30
    """
    from testbed.capacity import CapacityObjective, search
    from testbed.live import LIVE_SCENARIO
    from testbed.preparation import prepare
    from testbed.rateprobe import RateProbe
    from testbed.runoptions import RunOptions
    from testbed.runstack import running_stack
    from testbed.timeline import Timeline
    from testbed.usecasechoice import name_use_case

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
            found = search(probe, wanted, start=start, maximum=max_rate, precision=precision)
    _show(found, place, json=json)
    if min_capacity is not None and (found.capacity or 0.0) < min_capacity:
        raise typer.Exit(EXIT_VERDICT_FAILED)


def _show(found: CapacityResult, place: Path, *, json: bool) -> None:
    from testbed.report.knee import knee_table
    from testbed.report.kneepage import knee_page

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
