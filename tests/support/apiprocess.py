"""The API as a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.polling import PATIENCE, answers, wait_for
from tests.support.ports import free_port, ports_in_a_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


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


StartApi = Callable[..., ApiProcess]


@contextlib.contextmanager
def api_processes(folder: Path) -> Iterator[StartApi]:
    """Give what starts the API and waits until it is ready; what it started ends with the block.

    Args:
        folder: where logs and the token lie, and models besides those beside the artefact.
    """
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
        output = folder / f"api-{port}.log"
        settings = {
            "TESTBED_API_ARTEFACT": str(artefact),
            "TESTBED_API_PORT": str(port),
            "TESTBED_API_MANAGEMENT_PORT": str(management_port),
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": str(folder / "management-token"),
            # Models of the session and of the test lie below.
            "TESTBED_API_ARTEFACT_FOLDERS": f"{artefact.parents[1]},{folder}",
            "TESTBED_API_REPLICAS": str(replicas),
            "TESTBED_API_LOG_URL": log_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
            **(environment or {}),
        }
        command = [sys.executable, *program]
        with output.open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        api = ApiProcess(
            process, port, management_port, output, replicas, folder / "management-token"
        )
        started.append(api)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        for number in api.management_ports:
            ready = partial(answers, f"http://127.0.0.1:{number}/health/ready")
            wait_for(ready, 30, output.read_text, process)
        return api

    yield start
    for api in started:
        if api.process.poll() is None:
            # A supervisor takes its replicas along; a single process needs no more than a kill.
            (api.process.terminate if api.replicas > 1 else api.process.kill)()
        api.process.wait(PATIENCE)
