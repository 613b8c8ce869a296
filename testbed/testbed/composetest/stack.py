"""The Compose stack on an engine: images built, services up and healthy, a scenario played."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.composetest.plan import PLAYER, Plan, plan, with_passwords, without_digests
from testbed.composetest.steps import say
from testbed.errors import StackError

if TYPE_CHECKING:
    from testbed.composetest.engine import Engine
    from testbed.composetest.steps import Steps

ASK_LIMIT: Final = 60.0
BUILD_LIMIT: Final = 900.0
UP_LIMIT: Final = 240.0
DOWN_LIMIT: Final = 120.0
PLAY_LIMIT: Final = 600.0
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Project:
    """The project of a checkout.

    Attributes:
        compose: the program.
        folder: the checkout.
        place: folder of the files made for this run: settings, and copies without digests.
    """

    compose: Path
    folder: Path
    place: Path

    @property
    def command(self) -> tuple[str, ...]:
        """Compose for this project; all of its profiles."""
        return (
            *(str(self.compose), "--project-directory", str(self.folder)),
            *("--file", str(self.place / "docker-compose.yml")),
            *("--env-file", str(self.place / ".env"), "--profile", "*"),
        )

    def dockerfile(self) -> str:
        """Text of the project's Dockerfile, its images by their tags."""
        return without_digests((self.folder / "Dockerfile").read_text("utf-8"))


def open_project(compose: Path, folder: Path, place: Path) -> Project:
    """Make the files of a run: passwords that it alone has, and images by their tags."""
    project = Project(compose, folder, place)
    text = (folder / "docker-compose.yml").read_text("utf-8")
    (place / "docker-compose.yml").write_text(without_digests(text), encoding="utf-8")
    example = (folder / ".env.example").read_text("utf-8")
    settings = place / ".env"
    settings.touch(mode=0o600)
    settings.write_text(with_passwords(example, secrets.token_hex(16)), encoding="utf-8")
    return project


def read_plan(project: Project, engine: Engine) -> Plan:
    """What of the project can run here.

    Raises:
        StackError: Compose refuses the project, or too much of it is missing.
    """
    return plan(
        json.loads(_ask(project, engine, "config", "--format", "json")), project.dockerfile()
    )


def _ask(project: Project, engine: Engine, *argv: str) -> str:
    done = subprocess.run(
        [*project.command, *argv],
        env=dict(engine.env),
        capture_output=True,
        text=True,
        timeout=ASK_LIMIT,
        check=False,
    )
    if done.returncode:
        raise StackError(f"docker compose {argv[0]}: {done.stderr.strip()}")
    return done.stdout


def build_images(plan: Plan, project: Project, engine: Engine, steps: Steps) -> None:
    """Build the project's own images, on the network of the machine.

    Args:
        plan: names their targets.
        project: has the Dockerfile.
        engine: gets the images.
        steps: runs the commands.
    """
    file = project.place / "Dockerfile"
    file.write_text(project.dockerfile(), encoding="utf-8")
    proxies = [f"--build-arg={name}" for name in _PROXIES if name in os.environ]
    for build in plan.builds:
        tags = [f"--tag={tag}" for tag in build.tags]
        target = [f"--target={build.target}"] if build.target else []
        command = (engine.docker, "build", "--progress=plain", "--network=host", *proxies)
        argv = (*command, *tags, *target, f"--file={file}", str(project.folder))
        steps.run(f"image {build.target}", *argv, limit=BUILD_LIMIT)


def bring_up(plan: Plan, project: Project, steps: Steps) -> None:
    """Start the services and wait until all are healthy.

    Raises:
        StackError: one is not, in time.
    """
    options = ("--detach", "--no-build", "--pull=never", "--wait", f"--wait-timeout={UP_LIMIT:.0f}")
    argv = (*project.command, "up", *options, *plan.services)
    steps.run(f"{len(plan.services)} services up", *argv, limit=UP_LIMIT + 30)


def play(scenario: str, project: Project, steps: Steps) -> int:
    """Play a scenario on the stack; returns the exit code of its verdict."""
    argv = (*project.command, "run", "--rm", "--no-TTY", PLAYER, scenario)
    outcome, seconds = steps.ended(f"scenario {scenario}", *argv, limit=PLAY_LIMIT, show=True)
    if outcome is None or outcome.exit_code is None:
        raise StackError(f"scenario {scenario}: no verdict after {seconds:.0f} s")
    return outcome.exit_code


def keep_logs(project: Project, engine: Engine, file: Path) -> None:
    """Write down how the services are and what they said."""
    with contextlib.suppress(StackError, subprocess.TimeoutExpired):
        states = _ask(project, engine, "ps", "--all")
        file.write_text(states + _ask(project, engine, "logs", "--no-color"), encoding="utf-8")
        say(f"what the services said: {file}")
