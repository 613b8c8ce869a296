"""The command line, and the order of things."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout
from testbed_domain.errors import DomainError

from testbed.composetest import debian
from testbed.composetest.debian import provide_roots
from testbed.composetest.engine import PROBE, Engine, own_engine, probe, require_programs
from testbed.composetest.errors import NoEngineError
from testbed.composetest.project import Project
from testbed.composetest.stack import bring_up, build_images, play, stay_up, store_logs
from testbed.composetest.standins import build_stand_ins
from testbed.composetest.steps import Steps, say
from testbed.composetest.variants import VARIANTS
from testbed.console import BuildProgress, interruptible
from testbed.errors import (
    EXIT_COULD_NOT_RUN,
    EXIT_PASS,
)
from testbed.resources import root
from testbed.stack.build import Store, cache_folder, install, manifest_file
from testbed.stack.catalogue import GIB, Tool, ToolProgram
from testbed.stack.process import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The variants that are tried where none is named.
DEFAULT: Final = ("plain", "replicas")
#: Native mode has no use for it, so it isn't among the tools of the stack.
COMPOSE: Final = Tool(
    name="compose",
    module="github.com/docker/compose/v2",
    module_version="v2.40.3",
    version="2.40.3",
    programs=(ToolProgram("cmd", "github.com/docker/compose/v2/cmd"),),  # named by its package
    image="docker/compose-bin:v2.40.3",
    ldflags="-s -w -X github.com/docker/compose/v2/internal.Version=2.40.3",
    disk=2 * GIB,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 too where no engine can start."""
    parser = argparse.ArgumentParser(
        prog="tools/compose-test",
        description="Bring the Compose stack up with stand-in images and play a scenario on it.",
    )
    parser.add_argument("scenario", nargs="?", default="demo", help="default: demo")
    parser.add_argument(
        "--variant",
        action="append",
        choices=tuple(VARIANTS),
        help="which stack; several by several options; default: plain and replicas. "
        + " ".join(f"{name}: {variant.about}." for name, variant in VARIANTS.items()),
    )
    parser.add_argument(
        "--hold",
        action="store_true",
        help="play nothing: keep the (first) stack up, say how to reach it",
    )
    options = parser.parse_args(arguments)
    names = options.variant or DEFAULT
    try:
        with interruptible():
            return _test(options.scenario, names, hold=options.hold)
    except NoEngineError as error:
        say(f"skipped: {error}")
        return EXIT_PASS
    except DomainError as error:
        sys.stderr.write(f"compose-test: {error}\n")
        return EXIT_COULD_NOT_RUN


def _test(scenario: str, names: Sequence[str], *, hold: bool) -> int:
    require_programs()
    folder = cache_folder() / "compose-test"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        _alone(folder),
        Supervisor() as supervisor,
        tempfile.TemporaryDirectory(prefix="compose-test-") as place,
    ):
        return _Session(supervisor, folder, Path(place)).test(scenario, names, hold=hold)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one at a time use the engine's data."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another compose-test to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Session:
    def __init__(self, supervisor: Supervisor, folder: Path, place: Path) -> None:
        self._supervisor, self._folder, self._place = supervisor, folder, place
        self._logs = folder / "logs"

    def test(self, scenario: str, names: Sequence[str], *, hold: bool) -> int:
        """Build all that the variants need, then try one after the other; the worst exit code."""
        with self._engine(network=True) as engine:
            probe(engine, self._place)
        project = Project(_compose(), root(), self._place)
        with self._engine(network=False) as engine:
            self._build(scenario, names, project, engine)
        codes = []
        for name in names:
            with self._engine(network=True) as engine:
                codes.append(self._try(name, scenario, project, engine, hold=hold))
        return max(codes)

    def _engine(self, *, network: bool) -> AbstractContextManager[Engine]:
        data, log = self._folder / "engine", self._logs / "engine.log"
        return own_engine(self._supervisor, data, log, network=network)

    def _steps(self, engine: Engine) -> Steps:
        return Steps(self._supervisor, self._logs, root(), engine.env)

    def _build(self, scenario: str, names: Sequence[str], project: Project, engine: Engine) -> None:
        tools = install(BuildProgress())
        steps = self._steps(engine)
        servers = frozenset[str]().union(*(VARIANTS[name].servers for name in names))
        plan = project.prepare(scenario, engine, servers=servers)
        for service, image in plan.left_out.items():
            with_it = [n for n, variant in VARIANTS.items() if service in variant.servers]
            why = f"it comes with --variant {with_it[0]}" if with_it else "it can't be had here"
            say(f"{service} is left out ({image}): {why}")
        provide_roots(engine, steps, self._folder)
        build_stand_ins(plan.stand_ins, engine, steps, tools, self._folder)
        build_images(plan, project, engine, steps)
        engine.trim({PROBE, *map(debian.image, debian.ROOTS), *plan.images})

    def _try(
        self, name: str, scenario: str, project: Project, engine: Engine, *, hold: bool
    ) -> int:
        variant = VARIANTS[name]
        played = scenario if variant.scenario is None else variant.scenario
        say(f"variant {name}: {variant.about}")
        steps = self._steps(engine)
        chosen = variant.settings(project)
        plan = project.prepare(played or scenario, engine, chosen, variant.servers)
        code = EXIT_PASS
        try:
            bring_up(plan, project, steps)
            if hold:
                stay_up(project, engine)
            for number in range(variant.plays if played else 0):
                code = max(code, play(played, project, steps, number + 1))
            for check in variant.checks:
                check(project, engine, steps)
        finally:
            store_logs(project, engine, self._logs / f"services-{name}.log")
        return code


def _compose() -> Path:
    store = Store(cache_folder(), manifest_file(), (COMPOSE,))
    return store.install(BuildProgress()).path(COMPOSE.programs[0].name)
