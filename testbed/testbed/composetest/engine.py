"""A Docker engine of its own: its data in the user's cache, all else in namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.composetest.enclosure import CONTROL_GROUP, enclosed, remove_control_groups
from testbed.composetest.errors import NoEngineError
from testbed.errors import StackError
from testbed.stack.process import ProcessInstance, ProcessRequest, Supervisor, read_tail, wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: Program to the Debian package that brings it.
PROGRAMS: Final = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-init": "docker.io",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "unshare": "util-linux",
    "ip": "iproute2",
}
START_LIMIT: Final = 60.0
GRACE: Final = 20.0
TRIM_LIMIT: Final = 120.0
#: Of the builds' layers, packages among them, for the next run.
CACHE_LIMIT: Final = "6GB"
NAME: Final = "engine"
PROBE: Final = "testbed-compose-test/probe"
_NO_BRIDGE: Final = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine.

    Attributes:
        docker: the client that came with it.
        env: environment in which the client and Compose reach it.
        pid: a process in its namespaces, but for that of process ids.
    """

    docker: str
    env: Mapping[str, str]
    pid: int

    def ask(self, *argv: str, limit: float = 60.0) -> str:
        """What a command of the client prints.

        Raises:
            StackError: it failed; with what it said.
        """
        done = subprocess.run(
            [self.docker, *argv],
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise StackError(f"docker {argv[0]}: {said or f'exit code {done.returncode}'}")
        return done.stdout.strip()

    @property
    def api(self) -> tuple[int, ...]:
        """Version of its interface."""
        version = self.ask("version", "--format", "{{.Server.APIVersion}}")
        return tuple(int(part) for part in version.split("."))

    def clear(self) -> None:
        """Remove all containers, volumes and networks: also those of a run that was killed."""
        containers = self.ask("ps", "--all", "--quiet").split()
        if containers:
            self.ask("rm", "--force", "--volumes", *containers)
        if volumes := self.ask("volume", "ls", "--quiet").split():
            self.ask("volume", "rm", "--force", *volumes)
        self.ask("network", "prune", "--force")

    def trim(self, wanted: Collection[str]) -> None:
        """Remove images that nobody wants any more, and old layers of builds.

        Args:
            wanted: names of images that stay.
        """
        names = self.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        orders = [
            ("image", "prune", "--force"),
            ("builder", "prune", "--force", f"--keep-storage={CACHE_LIMIT}"),
        ]
        if old := unwanted(names, wanted):
            orders.insert(0, ("image", "rm", "--force", *old))
        for order in orders:
            # The next run goes on with it; an engine that was ended meanwhile may have lost count.
            with contextlib.suppress(subprocess.TimeoutExpired, StackError):
                self.ask(*order, limit=TRIM_LIMIT)

    def has(self, image: str) -> bool:
        """Whether there is an image of that name."""
        return bool(self.ask("image", "ls", "--quiet", image))


def unwanted(names: Iterable[str], wanted: Collection[str]) -> list[str]:
    """Those of an engine's images that go: their services, or their versions, are no more.

    Args:
        names: with their tags, as the engine lists them; one without is left to its prune.
        wanted: names; without a tag ``latest`` is meant, as everywhere.
    """
    retained = {name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in wanted}
    return sorted({name for name in names if "<none>" not in name} - retained)


def require_programs() -> None:
    """See that all programs are there, and that this is root.

    Raises:
        NoEngineError: something is missing.
    """
    missing = sorted({PROGRAMS[name] for name in PROGRAMS if shutil.which(name) is None})
    if missing:
        raise NoEngineError(f"programs are missing: apt-get install {' '.join(missing)}")
    if os.geteuid():
        raise NoEngineError("an engine of its own needs root")


def client() -> str:
    """The engine's own client: another one on ``PATH`` may want a builder that isn't here."""
    engine = shutil.which("dockerd")
    beside = Path(engine).parents[1] / "bin" / "docker" if engine else Path()
    return str(beside) if os.access(beside, os.X_OK) else "docker"


@contextmanager
def own_engine(supervisor: Supervisor, data: Path, log: Path, *, network: bool) -> Iterator[Engine]:
    """An engine, until the block ends.

    Args:
        supervisor: below it the engine runs.
        data: folder of its images; one engine at a time may use it.
        log: its output.
        network: with a network of its own that leads nowhere else, for containers; else without
            bridges, for builds that use the machine's network.

    Raises:
        NoEngineError: it does not start; says why.
    """
    remove_control_groups()
    with tempfile.TemporaryDirectory(prefix="compose-test-", ignore_cleanup_errors=True) as place:
        run = Path(place)
        socket = f"unix://{run}/docker.sock"
        argv = (
            *("dockerd", "--host", socket, "--data-root", str(data)),
            *("--exec-root", f"{run}/exec", "--pidfile", f"{run}/docker.pid"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", CONTROL_GROUP),
            *(() if network else _NO_BRIDGE),
        )
        # Debian's engine looks for its helpers there, wherever the shell does.
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        env = {"PATH": path, "HOME": str(run)}
        whole = enclosed(*argv, network=network)
        request = ProcessRequest(NAME, whole, log, _proxied(env), run, GRACE, signal.SIGTERM)
        reach = env | {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "1"}
        log.unlink(missing_ok=True)
        try:
            instance = supervisor.start(request)
            engine = Engine(client(), reach, instance.pid)
            _wait(instance, engine)
            engine.clear()
            yield engine
            engine.clear()
        finally:
            if NAME in supervisor.instances():
                supervisor.stop(NAME)
            remove_control_groups()


def _proxied(env: Mapping[str, str]) -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    both = (spelling for name in names for spelling in (name, name.lower()))
    return {**env, **{name: os.environ[name] for name in both if name in os.environ}}


def _wait(instance: ProcessInstance, engine: Engine) -> None:
    def unready() -> str | None:
        try:
            engine.ask("version", "--format", "{{.Server.Version}}")
        except StackError as error:
            return str(error)
        return None

    try:
        wait_until(unready, START_LIMIT, what="engine", alive=lambda: instance.outcome)
    except StackError as error:
        last = read_tail(instance.request.log, 1)
        raise NoEngineError(f"the engine does not start: {last or error}") from error


def probe(engine: Engine, folder: Path) -> None:
    """Run a container: some machines let an engine start, but nothing in it.

    Args:
        engine: one with a network.
        folder: for the image, which holds nothing but the engine's own init.

    Raises:
        NoEngineError: no container runs.
    """
    shutil.copy(str(shutil.which("docker-init")), folder / "init")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY init /\n", encoding="utf-8")
    try:
        engine.ask("build", "--quiet", "--tag", PROBE, str(folder))
        engine.ask("run", "--rm", PROBE, "/init", "--version")
    except StackError as error:
        raise NoEngineError(f"no container can run here: {error}") from error
