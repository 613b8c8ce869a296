"""Evidently's UI on the workspace of real runs, asked over its HTTP API."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_domain.logstore import open_log

from tests.support.polling import PATIENCE, wait_for
from tests.support.ports import free_port
from tests.support.processes import running
from tests.support.typedpage import spans_of, typed_in

from .drift_place import DriftPlace, traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.artefact import Artefact


PAGE = "how-to/retrain.md"
WORKSPACE = "TESTBED_DRIFT_WORKSPACE=workspace"


@pytest.fixture
def place(
    small_artefact: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DriftPlace]:
    """A job with a workspace, which it has as the page says."""
    monkeypatch.chdir(tmp_path)
    assert WORKSPACE in spans_of(PAGE)
    monkeypatch.setenv(*WORKSPACE.split("="))
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(small_artefact)
    options = ("--otlp-endpoint=none", "--keep-runs=2")
    made = DriftPlace(small_artefact, url, tmp_path / "drift", options)
    yield made
    made.close()


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[httpx.Client]:
    """The UI on that workspace, by the page's command."""
    url = f"http://127.0.0.1:{free_port()}"
    output = tmp_path / "ui.log"
    (tmp_path / "workspace").mkdir(exist_ok=True)
    program = Path(sys.executable).with_name("testbed")
    typed = typed_in(PAGE, "testbed drift ui")
    command = [str(program), *typed, f"--port={url.rpartition(':')[2]}"]
    with (
        running(command, output, f"{url}/api/version", seconds=90, cwd=tmp_path) as process,
        httpx.Client(base_url=url) as client,
    ):
        yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) in {0, -signal.SIGTERM}, output.read_text()


def _get(ui: httpx.Client, path: str, **parameters: str) -> Any:  # noqa: ANN401 - of any shape
    return ui.get(path, params=parameters, timeout=30).raise_for_status().json()


def test_runs_are_shown(place: DriftPlace, ui: httpx.Client, small_artefact: Artefact) -> None:
    """Project, history and panels are there; a run that comes later shows; old ones go."""
    place.log(traffic(300, 2)[0])
    done = place.run("--html=always")
    assert done.returncode in {0, 1}, done.stderr
    wait_for(lambda: bool(_get(ui, "/api/projects")), 30, "no project")
    [project] = _get(ui, "/api/projects")
    assert project["name"] == small_artefact.name
    address = f"/api/projects/{project['id']}/reports"
    wait_for(lambda: len(_get(ui, address)) == 2, 30, "no run and its report")
    shown = _get(ui, address)
    assert {tuple(run["tags"]) for run in shown} == {("run",), ("report",)}
    record = place.records[0]
    assert {run["metadata"]["decision"] for run in shown} == {record["decision"]}
    panels = _get(ui, f"/api/v2/dashboards/{project['id']}")["panels"]
    assert [panel["title"] for panel in panels][:2] == ["Share of drifted columns", "Accuracy"]
    first = next(run["id"] for run in shown if run["tags"] == ["run"])
    assert place.run("--html=never").returncode in {0, 1}

    def moved_on() -> bool:
        runs = _get(ui, address)
        tags = sorted(run["tags"] for run in runs)
        return tags == [["report"], ["run"]] and first not in {run["id"] for run in runs}

    wait_for(moved_on, 30, "the later run is not shown, or the old one still is")
    series = ui.post(
        f"/api/v2/snapshots/{project['id']}/data_series_batch",
        json={
            "series_filter": [
                {
                    "tags": ["run"],
                    "metadata": {},
                    "metric": panels[0]["values"][0]["metric"],
                    "metric_labels": panels[0]["values"][0]["metric_labels"],
                }
            ]
        },
        timeout=30,
    )
    assert series.is_success, series.text
    assert json.dumps(record["drift_share"]) in series.text


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"name":' * 5_000 + b"1" + b"}" * 5_000])
def test_json_without_end_is_refused(ui: httpx.Client, body: bytes) -> None:
    """As other JSON that can't be read, and the next request is served."""
    headers = {"content-type": "application/json"}
    answer = ui.post("/api/projects", content=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["detail"]) == (400, "JSON is nested too deeply")
    assert _get(ui, "/api/projects") == []
