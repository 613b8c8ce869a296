"""A made-up model that nobody can ask, its prediction log, and the drift job on both."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from testbed_domain.artefact import Artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logstore import PredictionRow, open_log

from tests.support import artefacts
from tests.support.jsonlines import whole_lines

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 240.0
SCHEMA = FeatureSchema(
    features=(
        Feature("size", "number", "A size."),
        Feature("count", "integer", "A count."),
        Feature("colour", "category", "A colour.", categories=("red", "blue")),
        Feature("weight", "number", "Missing here and there.", nullable=True),
    ),
    target="good",
    classes=(0, 1),
    positive_class=1,
)


def made_up_rows(count: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    """Rows as in ``reference_rows``; ``shift`` moves the numbers and the share of colours."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        weight = round(float(rng.normal(70 + 10 * shift, 10)), 2)
        features = {
            "size": float(rng.normal(shift, 1)),
            "count": int(rng.poisson(4 + 2 * shift)),
            "colour": "red" if rng.random() < 0.5 + 0.2 * shift else "blue",
            "weight": None if rng.random() < 0.1 else weight,
        }
        truth = str(int(rng.random() < 0.35))
        probabilities = {"0": 0.8, "1": 0.2} if truth == "0" else {"0": 0.2, "1": 0.8}
        rows.append(
            {
                "features": features,
                "prediction": truth,
                "probability": 0.8,
                "probabilities": probabilities,
                "label": truth,
            }
        )
    return rows


def made_up_artefact(path: Path) -> Artefact:
    """An artefact that holds together; the drift job never looks into its model."""
    reference = made_up_rows(600, seed=1)
    files = {
        "model.onnx": b"no model",
        "reference.jsonl": "".join(json.dumps(row) + "\n" for row in reference).encode(),
    }
    return artefacts.written(path, SCHEMA, files, splits={"reference": len(reference)})


def made_up_prediction(artefact: Artefact, row: dict[str, Any], at: float) -> PredictionRow:
    """A row of :func:`made_up_rows` as the log has it, predicted at a Unix time."""
    return PredictionRow(
        id=str(uuid.uuid4()),
        time=at,
        request_id=None,
        instance="test",
        model_name=artefact.name,
        model_version=artefact.version,
        features=row["features"],
        prediction=row["prediction"],
        probability=row["probability"],
        probabilities=row["probabilities"],
    )


@dataclass
class MadeUpPlace:
    """A model, its log and the job's output directory."""

    artefact: Artefact
    url: str
    output: Path

    def predict(self, count: int, *, seed: int, shift: float = 0.0) -> None:
        """Log predictions of the last minute, half of them labelled."""
        now = time.time()
        rows = [
            made_up_prediction(self.artefact, row, now - 60 * (count - index) / count)
            for index, row in enumerate(made_up_rows(count, seed, shift))
        ]
        with open_log(self.url) as log:
            log.append(rows)
            log.append_labels([(row.id, row.prediction, now) for row in rows[::2]])

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of the job."""
        settings = {"log-url": self.url, "artefact": self.artefact.path, "output": self.output}
        common = [f"--{option}={value}" for option, value in settings.items()]
        return [sys.executable, "-m", "testbed_drift", name, *common, *options]

    def run(self, *options: str, endpoint: str = "none") -> subprocess.CompletedProcess[str]:
        """Run the job once."""
        command = self.command("run", f"--otlp-endpoint={endpoint}", *options)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=DEADLINE
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        """Whole lines of the runs file."""
        return whole_lines(self.output / "runs.jsonl")
