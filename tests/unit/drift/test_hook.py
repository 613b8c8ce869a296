"""What RETRAIN starts, with real processes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testbed_drift.evaluation.results import RunResult
from testbed_drift.quality.trial import Retraining
from testbed_drift.retraining.hook import Hook
from testbed_drift.settings import ENV_PREFIX, read_settings
from testbed_drift.storage.reports import RETRAINING_FILE, ReportStore

from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

RESULT = RunResult("rf-1", "success", 1.0, 1.0, "message")
PROMOTED = Retraining("promoted", "better", "rf-1", 0.0, 0.0, "rf-2")


class Clock:
    """Unix time as a test wants it."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def _wait(seconds: float) -> bool:
    time.sleep(seconds / 10)
    return False


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Callable[..., Hook]:
    """Makes hooks that run a piece of Python."""

    def hook(code: str, *, own: bool = False, **changes: Any) -> Hook:  # noqa: ANN401 - as the field
        values: dict[str, Any] = {"cooldown": 100.0, "timeout": 60.0, "wait": _wait}
        return Hook(
            argv=(sys.executable, "-c", code),
            own=own,
            environment={"TESTBED_DRIFT_LOG_URL": "sqlite:///log.db"},
            journal=ReportStore(tmp_path),
            clock=clock,
            **(values | changes),
        )

    return hook


def test_own_process_reports_its_result(make: Callable[..., Hook], clock: Clock) -> None:
    """The last line is the result; the times are the job's."""
    text = json.dumps(PROMOTED.to_dict())
    found = make(f"print('training ...'); print({text!r})", own=True).call(RESULT)
    assert found
    assert (found.outcome, found.challenger, found.started) == ("promoted", "rf-2", clock.now)


def test_own_process_that_failed_reports_why(make: Callable[..., Hook], clock: Clock) -> None:
    """Its result counts, though it ends as commands do that could not run."""
    text = json.dumps(Retraining("failed", "no log", "rf-a", clock()).to_dict())
    found = make(f"print({text!r}); raise SystemExit(2)", own=True).call(RESULT)
    assert found
    assert (found.outcome, found.message) == ("failed", "no log")


def test_command_is_reported_of_the_run(make: Callable[..., Hook], tmp_path: Path) -> None:
    """A command gets the job's settings and the model's version; its last line is the message."""
    names = ("TESTBED_DRIFT_LOG_URL", "TESTBED_RETRAIN_MODEL_VERSION")
    code = f"import os; print(*map(os.environ.get, {names}))"
    found = make(code).call(RESULT)
    assert found
    assert (found.outcome, found.message) == ("called", "sqlite:///log.db rf-1")
    lines = (tmp_path / RETRAINING_FILE).read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["called"]


@pytest.mark.parametrize(
    ("code", "own", "message"),
    [
        ("print('no space'); raise SystemExit(3)", False, "it ended with 3: no space"),
        ("print('hm')", True, "it reported no result: hm"),
        ("raise SystemExit(2)", True, "it ended with 2"),
        ("import os; os.kill(os.getpid(), 9)", False, "it ended with -9"),
    ],
)
def test_failure_is_an_outcome(
    make: Callable[..., Hook],
    code: str,
    own: bool,  # noqa: FBT001 - a table
    message: str,
) -> None:
    """Whatever happens to the process, the job gets one line about it."""
    found = make(code, own=own).call(RESULT)
    assert found
    assert (found.outcome, found.message) == ("failed", message)


def test_missing_command_is_an_outcome(make: Callable[..., Hook]) -> None:
    """A command that does not exist is named."""
    hook = make("")
    hook.argv = ("/no/such/program",)
    found = hook.call(RESULT)
    assert found
    assert found.message == "cannot start /no/such/program: No such file or directory"


@pytest.mark.parametrize(
    ("stopped", "timeout", "message"),
    [(False, 0.001, "it took longer than 0.001 s"), (True, 60.0, "the drift job was stopped")],
)
def test_process_ends_with_all_that_it_started(
    make: Callable[..., Hook],
    tmp_path: Path,
    stopped: bool,  # noqa: FBT001 - a table
    timeout: float,
    message: str,
) -> None:
    """What takes too long, or outlives the job, is ended together with its children."""
    ready = tmp_path / "pids"
    code = (
        "import os, pathlib, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"path = pathlib.Path({str(ready)!r})\n"
        "path.with_suffix('.new').write_text(f'{os.getpid()} {child.pid}')\n"
        "path.with_suffix('.new').rename(path)\n"
        "signal.pause()\n"
    )

    def wait(_: float) -> bool:
        wait_for(ready.exists)
        return stopped

    found = make(code, timeout=timeout, wait=wait).call(RESULT)
    assert found
    assert (found.outcome, found.message) == ("failed", message)
    pids = ready.read_text().split()
    assert len(pids) == 2
    wait_for(lambda: all(map(_gone, pids)))


def _gone(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"


def test_cool_down_outlives_the_process(make: Callable[..., Hook], clock: Clock) -> None:
    """After a training there is none for a while, not even from a new job; then there is."""
    assert make("").call(RESULT)
    clock.now += 99
    assert make("").call(RESULT) is None
    clock.now += 1
    assert make("").call(RESULT)


def test_job_that_was_killed_meanwhile_does_not_begin_at_once(
    make: Callable[..., Hook], tmp_path: Path, clock: Clock
) -> None:
    """The start is kept before the process begins, as a failure until it ends."""
    seen: list[dict[str, Any]] = []
    store = ReportStore(tmp_path)

    def wait(_: float) -> bool:
        seen.append(store.read_retraining())
        return True

    make("import signal; signal.pause()", wait=wait).call(RESULT)
    assert (seen[0]["outcome"], seen[0]["message"]) == ("failed", "it was interrupted")
    assert seen[0]["started"] == clock.now


def test_too_few_rows_are_tried_again_at_once(make: Callable[..., Hook]) -> None:
    """Nothing was trained, and labels may come any moment."""
    few = json.dumps(Retraining("too_few_rows", "3 rows", "rf-1", 0.0).to_dict())
    for _ in range(2):
        found = make(f"print({few!r})", own=True).call(RESULT)
        assert found
        assert found.outcome == "too_few_rows"


def test_settings_make_the_hook(tmp_path: Path) -> None:
    """Off makes none; a command line is split as a shell would; settings reach the process."""

    def of(**changes: object) -> Hook | None:
        settings = read_settings(
            log_url="sqlite:///a.db", artefact=tmp_path, retrain_min_rows=40, **changes
        )
        return Hook.of(settings, ReportStore(tmp_path), time.time, _wait)

    assert of() is None
    command = of(on_retrain="command notify --text 'two words'")
    assert command
    assert command.argv == ("notify", "--text", "two words")
    builtin = of(on_retrain="builtin", management_urls="http://a:1, http://b:2")
    assert builtin
    assert builtin.own
    assert builtin.environment["TESTBED_DRIFT_RETRAIN_MIN_ROWS"] == "40"
    read = {name.removeprefix(ENV_PREFIX).lower(): v for name, v in builtin.environment.items()}
    assert read_settings(**read).management == ("http://a:1", "http://b:2")
