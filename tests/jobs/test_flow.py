"""The monthly flow as a real process: Prefect's server, Dask workers, reports and exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from testbed_domain.logstore import open_log
from testbed_drift.flow.server import API_URL, QUIET
from testbed_drift.storage.claim import claimed

from tests.conftest import REPOSITORY
from tests.support.needs import missing
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running
from tests.support.typedpage import typed_in

from .made_up_place import made_up_artefact, made_up_prediction, made_up_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.artefact import Artefact

# A task on one worker hands out others, and kills the second worker before it takes the results.
LOSING_A_WORKER = """
import os, signal, sys
import distributed
from testbed_drift.flow.cluster import ClusterWorkers

class Unlucky(ClusterWorkers):
    def _taken(self, future):
        distributed.wait(future)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return super()._taken(future)

def month():
    found = Unlucky().run(done_by, dict.fromkeys("abcdef"))
    return os.getpid(), list(found.values())

def done_by(_task):
    return os.getpid()

with distributed.Client(sys.argv[1]) as client:
    client.wait_for_workers(2)
    (survivor, _), (_, victim) = client.run(os.getpid).items()
    own, pids = client.submit(month, workers=[survivor]).result()
print(set(pids) == {own}, len(pids))
"""
DEADLINE = 500.0
pytestmark = pytest.mark.timeout(1600)
FIRST, SECOND = "drift_2024-01-31_vs_2024-02-29", "drift_2024-02-29_vs_2024-03-31"


@pytest.fixture(scope="session")
def python() -> str:
    """Interpreter of the environment with the extra ``flow``; made if it isn't there."""
    command = [str(REPOSITORY / "tools/flow"), "--print-python"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    if done.returncode:
        missing(f"an environment for the flow: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def prefect(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API of a Prefect server that outlives the flows; one of its own costs each of them 10 s."""
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    command = (python, "-m", "prefect", "server", "start", "--no-ui", f"--port={port}")
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | QUIET | {"PREFECT_HOME": str(folder), "HOME": str(folder)}
    with running(
        command, folder / "log", f"{url}/health", seconds=DEADLINE, kill=True, env=environment
    ):
        yield url


@dataclass
class MonthsPlace:
    """A model with a log, and where the flow leaves things."""

    python: str
    artefact: Artefact
    folder: Path
    server: str | None = None

    @property
    def url(self) -> str:
        """The prediction log."""
        return f"sqlite:///{self.folder}/log.db"

    @property
    def reports(self) -> Path:
        """Output folder."""
        return self.folder / "reports"

    @property
    def environment(self) -> dict[str, str]:
        """As for a user who has no Prefect profile, and no server but a given one."""
        kept = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
        if self.server is not None:
            kept |= {API_URL: self.server}
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        return kept | own | {"REPORT_DIR": str(self.reports)}

    def predict(self, month: str, count: int, *, shift: float = 0.0) -> None:
        """Log predictions of a month, all of them labelled."""
        start = datetime.fromisoformat(f"{month}-02").replace(tzinfo=UTC).timestamp()
        rows = [
            made_up_prediction(self.artefact, row, start + 600 * index)
            for index, row in enumerate(made_up_rows(count, int(month[-2:]), shift))
        ]
        with open_log(self.url) as log:
            log.append(rows)
            log.append_labels([(row.id, row.prediction, row.time) for row in rows])

    def command(self, *options: str) -> list[str]:
        """The command line of the flow."""
        own = {"sqlite:////var/lib/testbed/log.db": self.url, "my-model": str(self.artefact.path)}
        common = typed_in("how-to/compare-months.md", "tools/flow --log-url", own)
        return [self.python, "-m", "testbed_drift.flow", *common, *options]

    def play(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Play the flow to its end."""
        return subprocess.run(
            self.command(*options),
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    @property
    def remembered(self) -> tuple[dict[str, object], list[str | None]]:
        """The job's memory, and of each run that it wrote down the report, or None."""
        memory = json.loads((self.reports / "published.json").read_text())["memory"]
        lines = (self.reports / "runs.jsonl").read_text().splitlines()
        return memory, [json.loads(line).get("json") for line in lines]

    @property
    def files(self) -> set[str]:
        """Reports. A killed worker may leave a half file behind, under a hidden name."""
        return {path.name for path in self.reports.glob("drift_*")}


@pytest.fixture
def place(python: str, tmp_path: Path) -> MonthsPlace:
    """A log with two like months and one that drifted: January to March 2024."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    found = MonthsPlace(python, made_up_artefact(tmp_path / "model"), tmp_path)
    for month, shift in (("2024-01", 0.0), ("2024-02", 0.0), ("2024-03", 1.0)):
        found.predict(month, 400, shift=shift)
    return found


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.long
def test_months_and_their_segments_are_compared_by_several_workers(
    place: MonthsPlace, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One decision line per pair in the order of the months, both reports, exit code of drift.

    A job's memory in that folder outlives the flows; each run is one line, in the months' order.
    Segments are in the JSON and the report as the job's own, whatever its processes are set to.
    """
    monkeypatch.setenv("TESTBED_DRIFT_SEGMENT", "size")
    monkeypatch.setenv("TESTBED_DRIFT_SEGMENT_ROWS", "50")
    monkeypatch.setenv("TESTBED_DRIFT_WORKERS", "2")  # Dask's own may have no processes
    memory: dict[str, object] = {"extent": None, "votes": [], "action": "ALERT", "reported": 7.0}
    state = {"schema_version": 1, "model_version": place.artefact.version, "memory": memory}
    place.reports.mkdir()
    (place.reports / "published.json").write_text(json.dumps(state))
    done = place.play("--month=2024-03", "--months=2", "--workers=2", "--evidently-line")
    assert done.returncode == 1, done.stderr
    quiet, loud = done.stdout.splitlines()
    files = f"report_html={place.reports}/{FIRST}.html report_json={place.reports}/{FIRST}.json"
    share = "drift_share=0.00"
    decided = f"[Evidently] {files} {share} -> NO_ACTION {share} < 0.30"
    assert re.fullmatch(rf"{re.escape(decided)} \(target_drift=[\d.]+\)", quiet)
    assert f"/{SECOND}.html" in loud
    assert re.search(r"-> RETRAIN drift_share=\S+ >= 0\.50", loud)
    assert "flow: 2 comparisons by 2 workers in " in done.stderr
    assert place.files == {f"{name}.{end}" for name in (FIRST, SECOND) for end in ("html", "json")}
    assert json.loads((place.reports / f"{SECOND}.json").read_text())["decision"] == "RETRAIN"
    # What it needed is gone: the server's database, the workers' folders, Prefect's home.
    assert not [*(place.folder / "tmp").iterdir(), *(place.folder / "home").iterdir()]
    assert place.remembered == (memory, [f"{name}.json" for name in (FIRST, SECOND)])
    found = json.loads((place.reports / f"{FIRST}.json").read_text())["segments"]
    assert [one["state"] for one in found.values()] == ["scored"] * 4
    assert {len(one["columns"]) for one in found.values()} == {4}
    assert sum(one["rows"]["current"] for one in found.values()) == 400
    assert "0 of 4 segments drifted" in (place.reports / f"{FIRST}.html").read_text()
    # Once more, by one worker and on a server that is there already: it finds the same. Of several
    # months one without rows leaves the others alone.
    monkeypatch.setenv("TESTBED_DRIFT_HTML", "never")
    place.server = prefect
    alone = place.play(
        "--month=2024-04", "--months=3", "--json", "--otlp-endpoint=none", "--workers=1"
    )
    assert alone.returncode == 2, alone.stderr  # one could not run
    written = [f"{name}.json" for name in (FIRST, SECOND)]
    assert place.remembered == (memory, [*written, *written, None])
    quiet, drifted, empty = map(json.loads, alone.stdout.splitlines())
    assert quiet["segments"] == found
    assert (drifted["decision"], drifted["windows"]["current"]["rows"]) == ("RETRAIN", 400)
    assert (empty["outcome"], "decision" in empty) == ("insufficient_data", False)
    assert "0 rows" in empty["message"]
    assert place.files == {f"{name}.{end}" for name in (FIRST, SECOND) for end in ("html", "json")}


@pytest.mark.long
def test_folder_of_a_running_job_is_left_alone(place: MonthsPlace) -> None:
    """One line says whose it is; what the job remembers stays as it was."""
    with claimed(place.reports):
        done = place.play("--month=2024-03")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert re.match(rf"drift: another drift job .*writes into {place.reports}: stop it", line)
    assert not [*place.reports.iterdir()]


@pytest.mark.long
def test_wrong_use_is_one_line(place: MonthsPlace) -> None:
    """No server and no worker is started for what can't work."""
    for option, words in (
        ("--month=2024-99", "write it as 2024-02"),
        ("--scheduler=tcp://dask.example:8786", "PREFECT_API_URL"),
        ("--artefact=/nowhere", "/nowhere"),
    ):
        done = place.play(option)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert words in done.stderr


def test_environment_without_the_extra_is_one_line(tmp_path: Path) -> None:
    """The environment of the API has no Prefect; the message says where there is one."""
    place = MonthsPlace(sys.executable, made_up_artefact(tmp_path / "model"), tmp_path)
    done = place.play()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "drift: Prefect and Dask are not there: use tools/flow, or pip install "
        "'testbed-drift[flow]'\n"
    )


@pytest.mark.long
def test_killed_flow_leaves_no_process(place: MonthsPlace) -> None:
    """Prefect's server and the workers end with a flow that was killed outright."""
    flow = subprocess.Popen(
        place.command("--month=2024-03", "--workers=2"),
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children: list[psutil.Process] = []

    def workers_started() -> bool:
        children[:] = psutil.Process(flow.pid).children(recursive=True)
        return len(children) >= 3

    try:
        wait_for(workers_started, DEADLINE, "server and workers")
    finally:
        flow.kill()
        flow.wait()
    wait_for(lambda: not any(map(_alive, children)), DEADLINE, "their end")


@pytest.fixture
def cluster(place: MonthsPlace) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, each a process of its own, without nannies."""
    address = f"tcp://127.0.0.1:{free_port()}"
    quiet = place.environment | {"DO_NOT_TRACK": "1", "PREFECT_HOME": str(place.folder / "prefect")}

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [place.python, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
        return subprocess.Popen(
            command,
            env=quiet,
            cwd=place.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    port = address.rpartition(":")[2]
    processes = [start("dask_scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard")]
    try:
        worker = ("dask_worker", address, "--no-nanny", "--nthreads=1", "--no-dashboard")
        processes += [start(*worker), start(*worker)]
        yield address, processes[1:]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.mark.long
def test_killed_worker_loses_no_comparison(
    place: MonthsPlace,
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    prefect: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another worker of the cluster does what the killed one had begun; all reports are whole."""
    monkeypatch.setenv("TESTBED_DRIFT_SEGMENT", "colour")
    monkeypatch.setenv("TESTBED_DRIFT_SEGMENT_ROWS", "50")
    address, workers = cluster
    place.server = prefect
    place.predict("2024-04", 400, shift=1.0)
    place.predict("2024-05", 400, shift=1.0)
    command = place.command("--month=2024-05", "--months=4", f"--scheduler={address}")
    flow = subprocess.Popen(
        command, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: place.files or flow.poll() is not None, DEADLINE, "a first report")
        workers[0].kill()
        output, errors = flow.communicate(timeout=DEADLINE)
    finally:
        flow.kill()
        flow.wait()
    assert flow.returncode == 1, errors
    decisions = re.findall(r"decision=(\w+)", output)
    assert decisions == ["NO_ACTION", "RETRAIN", "NO_ACTION", "NO_ACTION"]
    assert len(place.files) == 8
    for path in place.reports.glob("drift_*.json"):
        found = json.loads(path.read_text())
        assert found["decision"]
        assert [one["state"] for one in found["segments"].values()] == ["scored"] * 2


@pytest.mark.long
def test_results_lost_with_a_worker_are_made_again(
    place: MonthsPlace, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    """A comparison waits for its segments with its thread free, to do them itself if need be."""
    done = subprocess.run(
        [place.python, "-c", LOSING_A_WORKER, cluster[0]],
        env=place.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.stdout == "True 6\n", done.stderr
