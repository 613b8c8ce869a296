"""Starts the peers and the Collector that both sides send to; see README.md for the settings."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil
from testbed.stack import build

from tests.support.ports import free_port

from .environments import HERE, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed_domain.artefact import Artefact

READY_SECONDS: Final = 90
END_SECONDS: Final = 20
# Peers send usage data otherwise.
QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "ORT_DISABLE_TELEMETRY": "1",
}
TRACES: Final = {
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.01",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready.

    Attributes:
        port: where it answers.
        process: the process, whose children work for it too.
    """

    port: int
    process: psutil.Process

    def processor_seconds(self) -> float:
        """Processor time that it and its children have taken so far."""
        members = [self.process, *self.process.children(recursive=True)]
        times = [member.cpu_times() for member in members]
        return float(sum(time.user + time.system for time in times))


@dataclass(frozen=True, slots=True)
class Collector:
    """A Collector that takes everything and forgets it."""

    grpc: int
    http: int


@contextlib.contextmanager
def collector(folder: Path, core: int) -> Iterator[Collector]:
    """Run one on a core.

    Raises:
        StackError: it is not compiled.
    """
    program = build.find().path("otelcol")
    made = Collector(free_port(), free_port())
    health = f"127.0.0.1:{free_port()}"
    pipeline = {"receivers": ["otlp"], "exporters": ["debug"]}
    configuration = {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"127.0.0.1:{made.grpc}"},
                    "http": {"endpoint": f"127.0.0.1:{made.http}"},
                }
            }
        },
        "exporters": {"debug": {}},
        "extensions": {"health_check": {"endpoint": health}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"metrics": pipeline, "traces": pipeline, "logs": pipeline},
        },
    }
    file = folder / "collector.json"  # JSON is YAML
    file.write_text(json.dumps(configuration), encoding="utf-8")
    with _process([str(program), "--config", str(file)], folder, core, {}):
        _wait(f"http://{health}/")
        yield made


@contextlib.contextmanager
def bentoml(artefact: Artefact, folder: Path, core: int, sent_to: Collector) -> Iterator[Server]:
    """BentoML on a core.

    Raises:
        EnvironmentMissingError: it can't be installed.
    """
    port = free_port()
    settings = {
        "BENTOML_HOME": str(folder / "bentoml"),
        "FOREST_MODEL": str(artefact.model_file),
        "FOREST_OTLP": f"http://127.0.0.1:{sent_to.http}/v1/traces",
    }
    command = [str(environment("bentoml") / "bentoml"), "serve", "bentoml_forest:Forest"]
    command += ["--working-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port)]
    with _process(command, folder, core, settings) as process:
        _wait(f"http://127.0.0.1:{port}/readyz")
        yield Server(port, process)


@contextlib.contextmanager
def mlserver(artefact: Artefact, folder: Path, core: int, sent_to: Collector) -> Iterator[Server]:
    """MLServer on a core, with the models ``onnx`` and ``scikit-learn``.

    Raises:
        EnvironmentMissingError: it can't be installed.
    """
    port = free_port()
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "gzip_enabled": False,
        "tracing_server": f"127.0.0.1:{sent_to.grpc}",
    }
    batching = {"max_batch_size": 32, "max_batch_time": 0.005}
    models: dict[str, dict[str, Any]] = {
        "onnx": {"implementation": "mlserver_forest.OnnxForest"},
        "scikit-learn": {"implementation": "mlserver_forest.SkopsForest", **batching},
    }
    _write(folder / "mlserver" / "settings.json", settings)
    for name, model in models.items():
        described = {"name": name, "parameters": {"version": "1"}, **model}
        _write(folder / "mlserver" / name / "model-settings.json", described)
    command = [str(environment("mlserver") / "mlserver"), "start", str(folder / "mlserver")]
    found = {"PYTHONPATH": str(HERE), "FOREST_MODEL": str(artefact.path), **TRACES}
    with _process(command, folder, core, found) as process:
        _wait(f"http://127.0.0.1:{port}/v2/health/ready")
        yield Server(port, process)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@contextlib.contextmanager
def _process(
    command: list[str], folder: Path, core: int, settings: Mapping[str, str]
) -> Iterator[psutil.Process]:
    """Run a program on a core, from its start on: so its children are there too."""
    allowed = os.sched_getaffinity(0)
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        os.sched_setaffinity(0, {core})
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **QUIET, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, allowed)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
