"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from testbed_otel.settings import SDK_METRICS

from tests.support.ports import free_port, ports_in_a_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from testbed_domain.artefact import Artefact

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data"

# Evidently and others would send usage data.
os.environ["DO_NOT_TRACK"] = "1"
# What a test sends nowhere in particular would reach whoever listens on the usual port.
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "none"


def missing(reason: str) -> NoReturn:
    """Skip on a user's machine; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"required in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _sdk_metrics_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's `enable_sdk_self_metrics` sets in this process doesn't reach the next."""
    monkeypatch.setenv(SDK_METRICS, "")  # so that its absence is what comes back
    monkeypatch.delenv(SDK_METRICS)


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Finds a program that a test needs by its possible names; see :func:`missing`."""

    def find(*names: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        missing(f"{names[0]} is not on PATH")

    return find


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def diabetes_csv() -> Path:
    """The real Pima data, which stays outside of the repository."""
    return _real("diabetes.csv")


@pytest.fixture(scope="session")
def titanic_csv() -> Path:
    """The real passenger list, which stays outside of the repository."""
    return _real("titanic.csv")


@pytest.fixture(scope="session")
def churn_csv() -> Path:
    """The real Telco customers, which stay outside of the repository."""
    return _real("telco-churn.csv")


def _real(name: str) -> Path:
    path = REAL_DATA / name
    if not path.is_file():
        missing(f"the real data set {path.name} is not in {path.parent.name}/")
    return path


@pytest.fixture(scope="session")
def small_artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small forest for the diabetes use case, trained on seeded synthetic rows."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - scikit-learn: slow
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(20, 6, train_rows=600, test_rows=200, reference_rows=100)
    out = tmp_path_factory.mktemp("artefact") / "model"
    return train(get_use_case("diabetes"), None, 1, out, options)


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running ``python -m testbed_api``; with replicas, their management ports count up."""

    process: subprocess.Popen[bytes]
    port: int
    management_port: int
    output: Path
    replicas: int = 1
    token_file: Path = Path()

    @property
    def bearer(self) -> dict[str, str]:
        """The header that changes on a management port need."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    @property
    def management_ports(self) -> range:
        """One for each replica."""
        return range(self.management_port, self.management_port + self.replicas)


@pytest.fixture
def unused_port() -> int:
    """A TCP port that nothing listens on."""
    return free_port()


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[Callable[..., ApiProcess]]:
    """Starts the API as a process and waits until it is ready; ends it after the test."""
    started: list[ApiProcess] = []

    def start(
        artefact: Path,
        *,
        log_url: str = "none",
        otlp: str = "none",
        core: int | None = None,
        replicas: int = 1,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "testbed_api"),
    ) -> ApiProcess:
        port, management_port = free_port(), ports_in_a_row(replicas)
        output = tmp_path / f"api-{port}.log"
        settings = {
            "TESTBED_API_ARTEFACT": str(artefact),
            "TESTBED_API_PORT": str(port),
            "TESTBED_API_MANAGEMENT_PORT": str(management_port),
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": str(tmp_path / "management-token"),
            # Models of the session and of the test lie below.
            "TESTBED_API_ARTEFACT_FOLDERS": f"{artefact.parents[1]},{tmp_path}",
            "TESTBED_API_REPLICAS": str(replicas),
            "TESTBED_API_LOG_URL": log_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
            **(environment or {}),
        }
        command = [sys.executable, *program]
        with output.open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        api = ApiProcess(
            process, port, management_port, output, replicas, tmp_path / "management-token"
        )
        started.append(api)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        for number in api.management_ports:
            _wait_until_ready(api, number)
        return api

    yield start
    for api in started:
        if api.process.poll() is None:
            # A supervisor takes its replicas along; a single process needs no more than a kill.
            (api.process.terminate if api.replicas > 1 else api.process.kill)()
        api.process.wait(30)


def _wait_until_ready(api: ApiProcess, management_port: int) -> None:
    deadline = time.monotonic() + 30
    url = f"http://127.0.0.1:{management_port}/health/ready"
    while time.monotonic() < deadline and api.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"the API did not get ready:\n{api.output.read_text()}")
