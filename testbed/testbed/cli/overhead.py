"""``testbed overhead``: what telemetry costs a service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_domain.files import write_atomic

from testbed.cli.common import SeedOption, UseCaseOption
from testbed.console import BuildProgress, interruptible, out, say
from testbed.errors import UsageError
from testbed.settings import load_settings

if TYPE_CHECKING:
    from testbed.overhead import OverheadResult


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
    from testbed_load.plan import LoadPhase

    from testbed.live import LIVE_SCENARIO
    from testbed.overhead import MEASURED, WARM_UP, compare, order
    from testbed.overheadturns import OverheadTurns
    from testbed.preparation import prepare
    from testbed.runoptions import RunOptions
    from testbed.runstack import running_stack
    from testbed.servicefile import read_service
    from testbed.timeline import Timeline
    from testbed.usecasechoice import name_use_case

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
            turn = OverheadTurns(prepared, stack, place, phases, seed)
            found = [turn(number, telemetry=on) for number, on in order(rounds)]
    load = f"{closed} users" if closed else f"{rate:g} requests per second"
    _show(compare(prepared.context.target.name, load, found), place, json=json)


def _show(found: OverheadResult, place: Path, *, json: bool) -> None:
    from testbed.overhead import overhead_table

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
