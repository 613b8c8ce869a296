"""``testbed load-worker``: a part of a load that another host begins and ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.common import parse_address
from testbed.console import say


def load_worker(
    master: Annotated[
        str, typer.Argument(metavar="ADDRESS:PORT", help="What `testbed load --bind` waits at.")
    ],
    *,
    plan: Annotated[Path, typer.Option(help="A copy of its load-plan.json.")],
    host: Annotated[str, typer.Option(help="Base URL of the service, as seen from here.")],
) -> None:
    """Send a part of the load that another host plays.

    With n workers each sends every n-th request. It ends with the load. What it sent and got back
    is reported to the other host, whose clock must agree with this one: due times are of that
    clock. An artefact that the plan names must lie at the same path here.

    Examples:

      testbed load-worker 10.0.0.1:5557 --plan load-plan.json --host http://10.0.0.9:8000
    """
    from testbed_load.command import worker_command
    from testbed_load.options import check_host
    from testbed_load.plan import read_plan

    from testbed.stack.environments import base_environment

    address = parse_address(master, "MASTER")
    # Locust reads the plan only once the other host answers, for which it waits minutes.
    read_plan(plan)
    command = worker_command(plan.resolve(), check_host({"host": host}), master=address)
    say(f"load-worker: waiting for testbed load at {master}")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())  # Locust would read keys from a terminal
    os.execve(command[0], command, base_environment())  # noqa: S606 - this interpreter


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("load-worker")(load_worker)
