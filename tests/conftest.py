"""What all tests share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed_otel.settings import SDK_METRICS

from tests.support.apiprocess import StartApi, api_processes
from tests.support.datafiles import DataFile, own_file, real_file
from tests.support.longplays import leave_out, pytest_addoption  # noqa: F401 - a hook
from tests.support.needs import missing, need_compiled
from tests.support.once import made_once
from tests.support.order import order
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.quietworker import (  # noqa: F401 - hooks
    pytest_configure,
    pytest_configure_node,
    pytest_xdist_make_scheduler,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data"
# A test of a file runs on generated rows and, where the checkout has them beside it, on real ones;
# a slow one chooses: @pytest.mark.parametrize("diabetes_file", ["own"], indirect=True), or "best",
# the real one where there is one.
DATA_FILES = ("own", "real")

# Evidently and others would send usage data.
os.environ["DO_NOT_TRACK"] = "1"
# What a test sends nowhere in particular would reach whoever listens on the usual port.
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "none"


# A shell makes what it puts behind ignore SIGINT, and nohup SIGHUP; what tests start inherits that.
# Tests of signals, and all else, run as from a terminal.
for _number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fixtures that give what `testbed stack install` compiles.
OF_TOOLS = {"run_tool", "tools"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test-unit` leaves out what needs a compiled tool; what takes long comes first."""
    for item in items:
        if isinstance(item, pytest.Function) and OF_TOOLS & set(item.fixturenames):
            item.add_marker(pytest.mark.tools)
    leave_out(items, config)
    order(items, REPOSITORY / "tests")


def pytest_collection_finish() -> None:
    """What collecting has made stays to the end: the garbage collector need not look at it again.

    It took an eighth of the quick tests' processor time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _sdk_metrics_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's `enable_sdk_self_metrics` sets in this process doesn't reach the next."""
    monkeypatch.setenv(SDK_METRICS, "")  # so that its absence is what comes back
    monkeypatch.delenv(SDK_METRICS)


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Finds a program that a test needs by its possible names; see :func:`missing`."""

    def find(*names: str) -> str:
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None:
            missing(f"{names[0]} is not on PATH")
        return path

    return find


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return REPOSITORY


@pytest.fixture(scope="session", params=DATA_FILES)
def diabetes_file(request: pytest.FixtureRequest, own_files: Path) -> DataFile:
    """768 patients: generated, then the real ones, which stay outside of the repository."""
    return _data_file(request.param, own_files / "diabetes.csv")


@pytest.fixture(scope="session", params=DATA_FILES)
def titanic_file(request: pytest.FixtureRequest, own_files: Path) -> DataFile:
    """891 passengers: generated, then the real ones."""
    return _data_file(request.param, own_files / "titanic.csv")


@pytest.fixture(scope="session", params=DATA_FILES)
def churn_file(request: pytest.FixtureRequest, own_files: Path) -> DataFile:
    """7,043 customers: generated, then the real ones."""
    return _data_file(request.param, own_files / "telco-churn.csv")


@pytest.fixture(scope="session")
def public_rules() -> Path:
    """130 rules files that practitioners use, which stay outside of the repository."""
    folder = REAL_DATA / "rules"
    if not folder.is_dir():
        missing("the public rules are not in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that are generated."""
    return tmp_path_factory.mktemp("data")


def _data_file(kind: str, path: Path) -> DataFile:
    real = REAL_DATA / path.name
    if kind == "own" or (kind == "best" and not real.is_file()):
        return own_file(path)
    if not real.is_file():
        missing(f"the real data set {path.name} is not in ../shared/data")
    return real_file(real)


@pytest.fixture(scope="session")
def small_artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small forest for the diabetes use case, trained on seeded synthetic rows."""
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - not for every test
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    def make(out: Path) -> None:
        from testbed_domain.training import (  # noqa: PLC0415 - scikit-learn: slow
            TrainingOptions,
            train,
        )

        options = TrainingOptions(20, 6, train_rows=600, test_rows=200, reference_rows=100)
        train(get_use_case("diabetes"), None, 1, out, options)

    return load_artefact(made_once(tmp_path_factory, "artefact", make))


@pytest.fixture
def unused_port() -> int:
    """A TCP port that nothing listens on."""
    return free_port()


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """Starts the API as a process and waits until it is ready; ends it after the test."""
    with api_processes(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def tools() -> None:
    """The compiled tools; `make test` compiles them."""
    need_compiled()


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A running server without a log."""
    with postgres_server() as server:
        yield server
