"""The Compose stack on an engine: images built, services up and healthy, a scenario played."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn

from testbed.composetest.plan import PLAYER, ComposePlan
from testbed.composetest.steps import say
from testbed.errors import EXIT_PASS, EXIT_VERDICT_FAILED, StackError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.composetest.engine import Engine
    from testbed.composetest.project import Project
    from testbed.composetest.steps import Steps

BUILD_LIMIT: Final = 900.0
UP_LIMIT: Final = 360.0
PLAY_LIMIT: Final = 600.0
#: Word of the report that goes with an exit code. Compose has the second for errors of its own.
VERDICTS: Final = {EXIT_PASS: "PASSED", EXIT_VERDICT_FAILED: "FAILED"}
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def build_images(plan: ComposePlan, project: Project, engine: Engine, steps: Steps) -> None:
    """Build the project's own images, on the network of the machine.

    Args:
        plan: names their targets.
        project: has the Dockerfile.
        engine: gets the images.
        steps: runs the commands.
    """
    proxies = [f"--build-arg={name}" for name in _PROXIES if name in os.environ]
    for build in plan.builds:
        tags = [f"--tag={tag}" for tag in build.tags]
        target = [f"--target={build.target}"] if build.target else []
        command = (engine.docker, "build", "--progress=plain", "--network=host", *proxies)
        argv = (*command, *tags, *target, f"--file={project.dockerfile}", str(project.folder))
        steps.run(f"image {build.target}", *argv, limit=BUILD_LIMIT)


def bring_up(plan: ComposePlan, project: Project, steps: Steps) -> None:
    """Start the services and wait until all are healthy.

    Raises:
        StackError: one is not, in time.
    """
    options = ("--detach", "--no-build", "--pull=never", "--wait", f"--wait-timeout={UP_LIMIT:.0f}")
    argv = (*project.command, "up", *options, *plan.services)
    steps.run(f"{len(plan.services)} services up", *argv, limit=UP_LIMIT + 30)


def play(scenario: str, project: Project, steps: Steps, number: int = 1) -> int:
    """Play a scenario on the stack; returns the exit code of its verdict.

    Args:
        scenario: its name.
        project: has the service that plays it.
        steps: runs the commands.
        number: which time it is on this stack, counted from 1.

    Raises:
        StackError: there is no verdict.
    """
    what = f"scenario {scenario}" + (f", time {number}" if number > 1 else "")
    argv = (*project.command, "run", "--rm", "--no-TTY", PLAYER, scenario)
    outcome, seconds = steps.ended(what, *argv, limit=PLAY_LIMIT, show=True)
    code = None if outcome is None else outcome.exit_code
    if code is None or not verdict_in(steps.log(what).read_text("utf-8", "replace"), code):
        raise StackError(f"{what}: no verdict after {seconds:.0f} s (exit code {code})")
    say(f"{what}: {VERDICTS[code].lower()} ({seconds:.0f} s)")
    return code


def verdict_in(output: str, code: int) -> bool:
    """Whether what a run printed holds the verdict that its exit code stands for."""
    return code in VERDICTS and VERDICTS[code] in output


def store_logs(project: Project, engine: Engine, file: Path) -> None:
    """Write down how the services are and what they said."""
    with contextlib.suppress(StackError, subprocess.TimeoutExpired):
        states = project.ask(engine, "ps", "--all")
        file.write_text(states + project.ask(engine, "logs", "--no-color"), encoding="utf-8")
        say(f"what the services said: {file}")


def stay_up(project: Project, engine: Engine) -> NoReturn:
    """Keep the stack up until somebody has had enough."""
    say("up; this reaches it, and Ctrl-C ends it:")
    sys.stdout.write(
        f"  export DOCKER_HOST={engine.env['DOCKER_HOST']}\n"
        f"  {engine.docker} ps\n"
        f"  {shlex.join(project.command)} ps\n"
        f"  nsenter --net --target {engine.pid} curl http://127.0.0.1:8000/health\n"
    )
    sys.stdout.flush()
    while True:
        time.sleep(3600)
