"""The Compose project of the checkout, with the files of one run beside it."""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from testbed.composebasics import PROFILES
from testbed.composetest.plan import ComposePlan, plan, settings, steady_probes, without_digests
from testbed.errors import StackError
from testbed.scenarioenv import render
from testbed.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.composetest.engine import Engine

ASK_LIMIT: Final = 60.0
#: Engines of Docker 25 and newer, which know ``start_interval``.
_STEADY_BEFORE: Final = (1, 44)


@dataclass(frozen=True, slots=True)
class Project:
    """The project of a checkout.

    Attributes:
        compose: the program.
        folder: the checkout.
        place: folder of the files made for this run.
    """

    compose: Path
    folder: Path
    place: Path

    @property
    def file(self) -> Path:
        """The Compose file, made fit for the engine and for stand-ins."""
        return self.place / "docker-compose.yml"

    @property
    def env_file(self) -> Path:
        """Settings of this run, with passwords that it alone has."""
        return self.place / ".env"

    @property
    def scenario_file(self) -> Path:
        """Settings of a stack on which the scenario can be played."""
        return self.place / "scenario.env"

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile, made fit for stand-ins."""
        return self.place / "Dockerfile"

    @property
    def command(self) -> tuple[str, ...]:
        """Compose for this project."""
        settings = ("--env-file", str(self.env_file), "--env-file", str(self.scenario_file))
        own = ("--project-directory", str(self.folder), "--file", str(self.file))
        return (str(self.compose), *own, *settings)

    def prepare(
        self,
        scenario: str,
        engine: Engine,
        chosen: Mapping[str, str] | None = None,
        servers: frozenset[str] = frozenset(),
    ) -> ComposePlan:
        """Write the files of this run, and find out what of the project can run here.

        Args:
            scenario: for which the stack is made.
            engine: for which the Compose file is made.
            chosen: more variables of ``.env``.
            servers: services of :data:`testbed.composetest.plan.SERVERS` that are wanted.

        Raises:
            StackError: Compose refuses the project, or too much of it can't be had.
            DomainError: there is no such scenario.
        """
        self.scenario_file.write_text(render(scenario, load_settings()), encoding="utf-8")
        dockerfile = without_digests(self._read("Dockerfile"))
        self.dockerfile.write_text(dockerfile, encoding="utf-8")
        document = yaml.safe_load(without_digests(self._read("docker-compose.yml")))
        if engine.api < _STEADY_BEFORE:
            document = steady_probes(document)
        self.file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        self.env_file.touch(mode=0o600)
        self._set()
        config = self.ask(engine, "--profile", "*", "config", "--format", "json")
        found = plan(json.loads(config), dockerfile, servers)
        self._set(**{PROFILES: ",".join(found.profiles)}, **(chosen or {}))
        return found

    def change(self, **variables: str) -> None:
        """Set variables of ``.env`` anew; containers that are made from now on see them."""
        with self.env_file.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())

    def ask(self, engine: Engine, *argv: str) -> str:
        """What Compose prints.

        Raises:
            StackError: it failed; with what it said.
        """
        done = subprocess.run(
            [*self.command, *argv],
            env=dict(engine.env),
            capture_output=True,
            text=True,
            timeout=ASK_LIMIT,
            check=False,
        )
        if done.returncode:
            raise StackError(f"docker compose {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def _set(self, **more: str) -> None:
        text = settings(self._read(".env.example"), secrets.token_hex(16), **more)
        self.env_file.write_text(text, encoding="utf-8")
