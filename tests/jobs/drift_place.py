"""A small model, its prediction log and the drift job on both, for tests of the job's operation."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from testbed_domain.encoding import encode
from testbed_domain.logstore import PredictionRow, open_log
from testbed_domain.sampling import random_stream
from testbed_domain.use_cases import get_use_case

from tests.support.jsonlines import whole_lines
from tests.support.polling import wait_for
from tests.support.processes import end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

DEADLINE = 240.0
SCORED_BY_ALL = 0.9


def traffic(count: int, seed: int) -> tuple[list[Row], list[str]]:
    """Rows of the diabetes generator and their true classes."""
    generator = get_use_case("diabetes").generator
    assert generator
    rows, labels = generator.sample(random_stream(seed, "traffic"), count)
    return list(rows), [str(label) for label in labels]


def predicted(artefact: Artefact, rows: Sequence[Row]) -> list[str]:
    """What the model says of rows."""
    from testbed_domain.onnxsession import OnnxSession  # noqa: PLC0415 - slow

    found = OnnxSession(artefact.model_file).outputs(encode(artefact.schema, rows))
    return [str(artefact.schema.classes[place]) for place in found.argmax(axis=1)]


@dataclass
class DriftPlace:
    """A registered model, its log, and an output directory.

    Attributes:
        artefact: the model.
        log_url: its log.
        output: where the job writes.
        options: settings of the job in every call.
        started: processes that :meth:`start` started.
    """

    artefact: Artefact
    log_url: str
    output: Path
    options: tuple[str, ...] = ("--html=never", "--otlp-endpoint=none")
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def log(self, rows: Sequence[Row], *, ago: float = 30.0) -> list[str]:
        """Log predictions that end now; returns their ids."""
        now = time.time()
        other = {"0": "1", "1": "0"}
        logged = [
            PredictionRow(
                id=str(uuid.uuid4()),
                time=now - ago * (len(rows) - number) / len(rows),
                request_id=None,
                instance="test",
                model_name=self.artefact.name,
                model_version=self.artefact.version,
                features=row,
                prediction=answer,
                probability=SCORED_BY_ALL,
                probabilities={answer: SCORED_BY_ALL, other[answer]: 1 - SCORED_BY_ALL},
            )
            for number, (row, answer) in enumerate(
                zip(rows, predicted(self.artefact, rows), strict=True)
            )
        ]
        with open_log(self.log_url) as log:
            log.append(logged)
        return [row.id for row in logged]

    def label(self, ids: Sequence[str], labels: Sequence[str]) -> None:
        """Labels that arrive now."""
        now = time.time()
        with open_log(self.log_url) as log:
            log.append_labels([(key, label, now) for key, label in zip(ids, labels, strict=True)])

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of the job; later options win."""
        settings = {
            "log-url": self.log_url,
            "artefact": self.artefact.path,
            "output": self.output,
            "window": "600",
        }
        given = [f"--{option}={value}" for option, value in settings.items()]
        return [sys.executable, "-m", "testbed_drift", name, *given, *self.options, *options]

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the job once."""
        return subprocess.run(
            self.command("run", *options),
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def start(self, name: str, *options: str) -> subprocess.Popen[str]:
        """Start the job; ended at the end of the test."""
        process = subprocess.Popen(
            self.command(name, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self.started.append(process)
        return process

    def wait(self, condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait until a condition holds while a process lives."""
        wait_for(condition, DEADLINE, lambda: f"records: {self.records[-3:]}", process)

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            end(process, kill=True)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Whole lines of the runs file."""
        return whole_lines(self.output / "runs.jsonl")
