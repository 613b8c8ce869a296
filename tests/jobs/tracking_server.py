"""An MLflow tracking server, in an environment of its own."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from tests.bench.peers.environments import EnvironmentMissingError, environment
from tests.support.needs import missing
from tests.support.ports import free_port
from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 240.0
# It has background jobs of its own, which nobody needs here.
SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@contextlib.contextmanager
def tracking_server(folder: Path) -> Iterator[str]:
    """URL of a server on SQLite that stores artifacts itself."""
    try:
        program = environment("mlflow") / "mlflow"
    except EnvironmentMissingError as error:
        missing(f"a server of MLflow: {error}")
    url = f"http://127.0.0.1:{free_port()}"
    command = (
        *(str(program), "server", f"--backend-store-uri=sqlite:///{folder}/mlflow.db"),
        *(f"--artifacts-destination={folder}/artifacts", "--host=127.0.0.1"),
        *(f"--port={url.rpartition(':')[2]}", "--workers=1"),
    )
    with running(
        command,
        folder / "log",
        f"{url}/health",
        seconds=DEADLINE,
        kill=True,
        env=os.environ | SERVER,
        start_new_session=True,  # the server's own children are in its group
    ):
        yield url


def client(server: str) -> Any:  # noqa: ANN401 - MLflow has no types
    """A client of a server."""
    from mlflow import MlflowClient  # noqa: PLC0415 - an extra, and slow

    return MlflowClient(server)


def runs(server: str, experiment: str) -> list[Any]:
    """All runs of an experiment."""
    asked = client(server)
    found = asked.get_experiment_by_name(experiment)
    return list(asked.search_runs([found.experiment_id]))
