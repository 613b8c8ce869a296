"""Following the champion, and the management ports, against an HTTP server of the test."""

from __future__ import annotations

import http.server
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed_domain.errors import DomainError
from testbed_drift.evaluation.results import RunResult
from testbed_drift.jobs.championtracker import ChampionTracker
from testbed_drift.retraining.management import Management, ManagementError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.artefact import Artefact


@dataclass
class FakeJob:
    """A job of a version."""

    version: str

    def run_once(self) -> RunResult:
        """A result of that version."""
        return RunResult(self.version, "success", 1.0, 1.0, "message")


def test_job_of_the_next_champion_takes_over(small_artefact: Artefact, tmp_path: Path) -> None:
    """Where the API has another champion whose artefact is known, its job runs; once made."""
    made: list[Path] = []
    answers = iter(["rf-old", small_artefact.version, small_artefact.version, None])

    def make(path: Path) -> FakeJob:
        made.append(path)
        return FakeJob(small_artefact.version)

    known = [tmp_path / "none", small_artefact.path]
    job = ChampionTracker(FakeJob("rf-old"), lambda: next(answers), lambda: known, make)
    versions = [job.run_once().model_version for _ in range(4)]
    assert versions == ["rf-old", *[small_artefact.version] * 3]
    assert made == [small_artefact.path]
    assert job.version == small_artefact.version


def test_unknown_champion_leaves_the_job(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Without its artefact nobody can watch it: the old job goes on, and says so."""
    job = ChampionTracker(FakeJob("rf-1"), lambda: "rf-9", lambda: [tmp_path], FakeJob)  # type: ignore[arg-type]
    assert job.run_once().model_version == "rf-1"
    assert "champion is rf-9" in caplog.text


def test_job_that_can_not_be_made_leaves_the_old_one(
    small_artefact: Artefact, caplog: pytest.LogCaptureFixture
) -> None:
    """A calibration that does not fit, for example, costs the change and not the job."""

    def make(_path: Path) -> FakeJob:
        raise DomainError("it does not fit")

    version = small_artefact.version
    job = ChampionTracker(FakeJob("rf-1"), lambda: version, lambda: [small_artefact.path], make)
    assert job.run_once().model_version == "rf-1"
    assert "it does not fit" in caplog.text


@dataclass
class Replica:
    """A management port that keeps its versions, and refuses what a test says."""

    server: http.server.HTTPServer
    roles: dict[str, str] = field(default_factory=lambda: {"champion": "rf-1"})
    refuse: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def change(self, method: str, path: str, body: dict[str, str]) -> None:
        """Do what the API does."""
        if method == "PUT":
            self.roles["challenger"] = Path(body["artefact"]).name
        elif method == "DELETE":
            self.roles.pop("challenger", None)
        elif path.endswith("promote"):
            self.roles = {"champion": self.roles["challenger"], "previous": self.roles["champion"]}
        elif path.endswith("rollback"):
            self.roles = {"champion": self.roles["previous"], "previous": self.roles["champion"]}


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    """Two of them."""
    made: list[Replica] = []
    threads: list[threading.Thread] = []
    for _ in range(2):

        class Handler(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                replica = next(each for each in made if each.server is self.server)
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length) or "{}")
                name = f"{self.command} {self.path}"
                if name in replica.refuse:
                    content, code = b"not now", 409
                else:
                    replica.change(self.command, self.path, body)
                    versions = [{"role": r, "version": v} for r, v in replica.roles.items()]
                    content, code = json.dumps({"versions": versions}).encode(), 200
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the base's names

            def log_message(self, *_: object) -> None:
                return None

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        made.append(Replica(server))
        threads.append(threading.Thread(target=server.serve_forever))
        threads[-1].start()
    yield made
    for each, thread in zip(made, threads, strict=True):
        each.server.shutdown()
        thread.join()
        each.server.server_close()


def test_every_replica_changes(replicas: list[Replica]) -> None:
    """Challenger, then champion, in all of them."""
    api = Management(tuple(each.url for each in replicas))
    assert api.champion() == "rf-1"
    api.challenge(Path("/models/rf-2"))
    assert [each.roles["challenger"] for each in replicas] == ["rf-2", "rf-2"]
    api.promote()
    assert api.champion() == "rf-2"
    assert [each.roles["champion"] for each in replicas] == ["rf-2", "rf-2"]


def test_half_a_change_is_taken_back(replicas: list[Replica]) -> None:
    """Where one replica refuses, the others go back: no two champions."""
    api = Management(tuple(each.url for each in replicas))
    replicas[1].refuse = {"PUT /models/challenger"}
    with pytest.raises(ManagementError, match="409 not now"):
        api.challenge(Path("/models/rf-2"))
    assert [each.roles for each in replicas] == [{"champion": "rf-1"}] * 2
    replicas[1].refuse = {"POST /models/promote"}
    api.challenge(Path("/models/rf-2"))
    with pytest.raises(ManagementError):
        api.promote()
    assert [each.roles["champion"] for each in replicas] == ["rf-1", "rf-1"]


def test_challenger_of_somebody_else_stays(replicas: list[Replica]) -> None:
    """An operator's own experiment is not replaced."""
    replicas[1].roles["challenger"] = "rf-7"
    with pytest.raises(ManagementError, match="rf-7 already: withdraw it first"):
        Management(tuple(each.url for each in replicas)).challenge(Path("/models/rf-2"))
    assert "challenger" not in replicas[0].roles


def test_api_that_is_away_is_no_champion(unused_port: int) -> None:
    """Nobody there means that nothing is known; a change is an error with the address."""
    api = Management((f"http://127.0.0.1:{unused_port}",))
    assert api.champion() is None
    with pytest.raises(ManagementError, match=str(unused_port)):
        api.promote()
    with pytest.raises(ManagementError, match="is not the address"):
        Management(("file:///etc/passwd",)).withdraw()
