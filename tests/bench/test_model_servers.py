"""The presets, proven on the real servers: what drifts is found, and every request is counted.

Each plays normal traffic and covariate drift on a model server in an environment of its own.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .peers.environments import HERE, EnvironmentMissingError, environment

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact

SECONDS = 400
SLOW = {"mlflow": str(HERE / "model-server.yaml")}
"""Servers that do not keep the rate of the shipped scenario, and what they are played."""


def _mlserver(artefact: Artefact, folder: Path) -> dict[str, Any]:
    settings = {"parallel_workers": 0, "host": "127.0.0.1", "grpc_port": 0}
    (folder / "forest").mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "forest", "implementation": "mlserver_forest.OnnxForest"}
    (folder / "forest" / "model-settings.json").write_text(json.dumps(model))
    return {
        "kind": "openinference-v2",
        "model": "forest",
        "command": [str(environment("mlserver") / "mlserver"), "start", str(folder)],
        "environment": {
            "MLSERVER_HTTP_PORT": "{http}",
            "MLSERVER_METRICS_PORT": "{metrics}",
            "MLSERVER_GRPC_PORT": "{grpc}",
            "PYTHONPATH": str(HERE),
            "FOREST_MODEL": str(artefact.path),
        },
        "ports": ["http", "metrics", "grpc"],
        "reply": {"probabilities": "$.outputs[0].data"},
    }


def _bentoml(artefact: Artefact, folder: Path) -> dict[str, Any]:
    command = [str(environment("bentoml") / "bentoml"), "serve", "bentoml_forest:Forest"]
    return {
        "kind": "bentoml",
        "command": [*command, "--working-dir", str(HERE), "--port", "{http}"],
        "environment": {
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "FOREST_MODEL": str(artefact.model_file),
            "FOREST_OTLP": "http://127.0.0.1:9/v1/traces",
        },
        "request": {"path": "/predict", "body": "{row}"},
        "reply": {"prediction": "$.prediction", "probability": "$.probability"},
    }


def _mlflow(artefact: Artefact, folder: Path) -> dict[str, Any]:
    table, saved = folder / "reference.csv", folder / "saved"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*artefact.schema.names, artefact.schema.target])
        writer.writerows([*row.features.values(), row.label] for row in artefact.reference())
    programs = environment("mlflow")
    made = [str(programs / "python"), str(HERE / "mlflow_forest.py"), str(table), str(saved)]
    subprocess.run(made, check=True, capture_output=True, timeout=SECONDS)
    serve = [str(programs / "mlflow"), "models", "serve", "--env-manager", "local"]
    return {
        "kind": "mlflow",
        "command": [*serve, "--model-uri", str(saved), "--port", "{http}"],
        "environment": {"PATH": f"{programs}:{os.environ['PATH']}"},
        "reference_rows": 400,  # it takes some 50 ms a row
    }


SERVERS = {"mlserver": _mlserver, "bentoml": _bentoml, "mlflow": _mlflow}


@pytest.mark.parametrize("server", SERVERS)
def test_covariate_drift_is_found_on_a_real_server(
    benchmark: Any,  # noqa: ANN401 - half of its interface has no types
    artefact: Artefact,
    server: str,
    tmp_path: Path,
) -> None:
    """NO_ACTION first, RETRAIN later, DataDrift notified, counts exact where there are any."""
    try:
        block = SERVERS[server](artefact, tmp_path)
    except EnvironmentMissingError as error:
        pytest.skip(str(error))
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(block | {"start_timeout": 120}), encoding="utf-8")
    out = tmp_path / "run"
    command = [sys.executable, "-m", "testbed.entry", "run", SLOW.get(server, "covariate-drift")]
    command += ["--service", str(file), "--out", str(out)]
    done = benchmark.pedantic(
        lambda: subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=SECONDS
        ),
        rounds=1,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    verdict = json.loads((out / "verdict.json").read_text())
    hops = {hop["key"]: hop for hop in verdict["hops"]}
    assert "load_service" in hops or server == "mlflow"
    assert all(hop["residual"] == 0 for hop in hops.values())
    decisions = [run["decision"] for run in verdict["drift"]["runs"] if run["decision"]]
    assert decisions[0] == "NO_ACTION"
    assert verdict["drift"]["decision"] == "RETRAIN"
