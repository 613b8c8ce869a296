"""Pages of other projects that the stack serves, in a real browser, with hostile texts in them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pandas as pd
from testbed_domain.artefact import MANIFEST, content_version
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.frames import declare
from testbed_load.command import web_command

from tests.browser import EVERYTHING, HOSTILE, visit
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_drift.rows.columns import ColumnKind

    from tests.support.apiprocess import ApiProcess

CATEGORY = f"category {EVERYTHING}"


@contextlib.contextmanager
def _served(arguments: list[str], path: str, folder: Path) -> Iterator[str]:
    """Base URL of a program that listens on ``--port``, until the block ends."""
    port = free_port()
    command = [part.format(port=port) for part in arguments]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder / "served.log", f"{url}{path}", seconds=90, kill=True):
        yield url


def test_evidentlys_ui_runs_nothing(tmp_path: Path, program: Callable[..., str]) -> None:
    """A project and a snapshot with hostile names, columns and categories."""
    from testbed_drift.rendering.uilibrary import Workspace  # noqa: PLC0415 - takes seconds

    kinds: dict[str, ColumnKind] = {CATEGORY: "category"}
    before, now = (
        declare(
            pd.DataFrame(
                {
                    CATEGORY: rng.choice(values, 300),
                    PREDICTION: rng.choice(["no", f"yes {EVERYTHING}"], 300),
                }
            ),
            kinds,
        )
        for rng, values in (
            (np.random.default_rng(1), ["tame", *HOSTILE]),
            (np.random.default_rng(2), [*HOSTILE]),
        )
    )
    workspace = Workspace.create(str(tmp_path / "workspace"))
    project = workspace.create_project(EVERYTHING, EVERYTHING)
    workspace.add_run(project.id, Detector(kinds).detect(before, now).snapshot())
    browser = program("chromium", "google-chrome")
    command = [sys.executable, "-m", "testbed_drift", "ui", "--port={port}"]
    command.append(f"--workspace={tmp_path / 'workspace'}")
    with _served(command, "/api/version", tmp_path) as url:
        [run] = httpx.get(f"{url}/api/projects/{project.id}/reports", timeout=30).json()
        pages = {
            "/": "&lt;/script&gt;",
            f"/projects/{project.id}": "&lt;/script&gt;",
            f"/projects/{project.id}/reports/{run['id']}": "main-svg",
        }
        for path, shown in pages.items():
            page = visit(browser, url + path, tmp_path / "profile", 20_000)
            assert not page.attacked, path
            assert shown in page.dom, path
        post = httpx.post(
            f"{url}/api/projects", headers={"Origin": "https://evil.example"}, timeout=30
        )
        assert post.status_code == 403
        assert httpx.get(url, headers={"Host": "evil.example"}, timeout=30).status_code == 421


HOSTILE_LOCUSTFILE = """
from locust import HttpUser, constant, task
TEXT = {text!r}

class Someone(HttpUser):
    wait_time = constant(0.05)

    @task
    def go(self):
        self.environment.events.request.fire(
            request_type=TEXT, name=TEXT, response_time=1, response_length=1,
            exception=Exception(TEXT), context={{}},
        )
        raise ValueError(TEXT)
"""


def test_locusts_pages_run_nothing(tmp_path: Path, program: Callable[..., str]) -> None:
    """Names, failures and exceptions with hostile texts, on the live page and in the report."""
    file = tmp_path / "hostile.py"
    file.write_text(HOSTILE_LOCUSTFILE.format(text=EVERYTHING), encoding="utf-8")
    command = [sys.executable, "-m", "locust", "-f", str(file), "--host", "http://127.0.0.1:1"]
    command += ["--web-host", "127.0.0.1", "--web-port", "{port}", "--loglevel", "CRITICAL"]
    browser = program("chromium", "google-chrome")
    with _served(command, "/", tmp_path) as url:
        form = {"user_count": "1", "spawn_rate": "1", "host": "http://127.0.0.1:1"}
        assert httpx.post(f"{url}/swarm", data=form, timeout=30).json()["success"]

        def filled() -> bool:
            failures = httpx.get(f"{url}/stats/requests", timeout=30).json()["errors"]
            return bool(
                failures and httpx.get(f"{url}/exceptions", timeout=30).json()["exceptions"]
            )

        wait_for(filled, 60, "no failure and no exception")
        for path in ("/", "/?tab=failures", "/?tab=exceptions", "/stats/report"):
            page = visit(browser, url + path, tmp_path / "profile")
            assert not page.attacked, path
        assert "&lt;/script&gt;" in page.dom


def test_our_web_ui_shows_itself_under_its_policy(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """The guard's headers let the page work."""
    command = web_command("http://127.0.0.1:1", port=0, use_case="diabetes")
    command[command.index("--web-port") + 1] = "{port}"
    with _served(command, "/", tmp_path) as url:
        page = visit(program("chromium", "google-chrome"), url, tmp_path / "profile")
        assert "Start new load test" in page.dom
        assert (
            "frame-ancestors 'none'"
            in httpx.get(url, timeout=30).headers["content-security-policy"]
        )


def test_the_docs_of_a_hostile_model_run_nothing(
    tmp_path: Path,
    small_artefact: Artefact,
    start_api: Callable[..., ApiProcess],
    program: Callable[..., str],
) -> None:
    """An artefact whose name, features and descriptions are hostile; the page still works."""
    model = tmp_path / "model"
    shutil.copytree(small_artefact.path, model)
    features = tuple(
        replace(each, description=EVERYTHING) for each in small_artefact.schema.features
    )
    schema = replace(small_artefact.schema, features=features)
    version = content_version(small_artefact.use_case, schema, small_artefact.files)
    hostile = {"name": EVERYTHING, "schema": schema.to_dict(), "version": version}
    (model / MANIFEST).write_text(json.dumps(small_artefact.manifest() | hostile))
    api = start_api(model)
    browser = program("chromium", "google-chrome")
    page = visit(browser, f"http://127.0.0.1:{api.port}/docs", tmp_path / "profile", 10_000)
    assert not page.attacked
    assert "/predict" in page.dom
    assert "&lt;/script&gt;" in page.dom
