"""The drift job as a process, beside what it works with: API, database, tracking server, flows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testbed_domain.artefact import Artefact
from testbed_domain.logstore import open_log

from tests.support.apiprocess import StartApi
from tests.support.processes import end

from .drift_place import DriftPlace
from .made_up_place import MadeUpPlace, made_up_artefact
from .retraining_service import Service

Spawn = Callable[[list[str]], subprocess.Popen[str]]


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
