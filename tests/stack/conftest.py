"""Real processes: the compiled tools, and the command line as a user calls it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testbed_domain.artefact import Artefact
from testbed_domain.logstore import open_log

from tests.support.apiprocess import StartApi
from tests.support.commandline import CommandLine
from tests.support.loads import Play, Start, playing, serving
from tests.support.needs import need_compiled
from tests.support.polling import wait_for
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import end

from .drift_place import DriftPlace
from .made_up_place import MadeUpPlace, made_up_artefact
from .retraining_service import Service

Spawn = Callable[[list[str]], subprocess.Popen[str]]

# The files that take longest, the longest first; CONTRIBUTING.md says of their tests why.
LONGEST = (
    *("scenarios", "verdicts", "flow", "selftest", "attached", "robustness", "demo", "lifecycle"),
    *("pages", "pytest_plugin", "replica_runs", "wheels", "faults", "regression"),
    *("drift_job", "drift_tables", "use_cases"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder starts real processes, and comes before what is quick.

    Where two files run at a time, neither worker is then left with a long one at the end. What
    fails is done once more (docs/decisions/0016): these tests go by real time, and a machine that
    stands still for seconds can make any of them fail. Each is named at the end (``rerun``).
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: _place(item.path.stem, stack=here in item.path.parents))


def _place(module: str, *, stack: bool) -> int:
    name = module.removeprefix("test_")
    return LONGEST.index(name) if stack and name in LONGEST else len(LONGEST) + (not stack)


@pytest.fixture(scope="session")
def tools() -> None:
    """The compiled tools; `make test` compiles them."""
    need_compiled()


@pytest.fixture
def command_line(tmp_path: Path, tools: None) -> Iterator[CommandLine]:  # noqa: ARG001 - needed first
    """The command line in an empty folder; nothing may be left when the test is over."""
    line = CommandLine(tmp_path)
    yield line
    wait_for(lambda: not line.left(), 15, lambda: f"processes are left: {line.left()}")
    halves = [path.name for path in tmp_path.rglob(".*.*") if path.is_file()]
    assert not [name for name in halves if "tmp" in name], "a half-written file is left"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts the service with a latency and a ratio of failures."""
    with serving(tmp_path) as start:
        yield start


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Starts Locust with a plan."""
    with playing(tmp_path) as start:
        yield start


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A running server without a log."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts processes with pipes, and ends those that the test left running."""
    started: list[subprocess.Popen[str]] = []

    def begin(command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        end(process, kill=True)


@pytest.fixture
def place(tmp_path: Path) -> MadeUpPlace:
    """The drift job beside a registered model with an empty log."""
    artefact = made_up_artefact(tmp_path / "model")
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(artefact)
    return MadeUpPlace(artefact, url, tmp_path / "drift")


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A forest with a reference that is large enough to evaluate by."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(20, 6, train_rows=1500, test_rows=300, reference_rows=1000)
    out = tmp_path_factory.mktemp("champion") / "model"
    return train(get_use_case("diabetes"), None, 1, out, options)


@pytest.fixture
def service(champion: Artefact, start_api: StartApi, tmp_path: Path) -> Iterator[Service]:
    """The API with the champion and a log."""
    made = Service(start_api(champion.path, log_url=f"sqlite:///{tmp_path / 'log.db'}"))
    yield made
    made.close()


@pytest.fixture
def job(
    champion: Artefact, service: Service, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[DriftPlace]:
    """The drift job beside the service, which may train; with ``OPTIONS`` of the module."""
    options = (*service.job_options, *request.module.OPTIONS)
    made = DriftPlace(champion, f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "drift", options)
    yield made
    made.close()


@pytest.fixture
def candidate(tmp_path: Path) -> Artefact:
    """Another small forest of the same use case."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(10, 4, train_rows=600, test_rows=200, reference_rows=100)
    return train(get_use_case("diabetes"), None, 2, tmp_path / "candidate", options)
