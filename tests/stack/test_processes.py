"""The supervisor with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testbed.errors import StackError
from testbed.stack.process import ProcessOutcome, ProcessRequest, Supervisor

from tests.support.polling import wait_for

MARK = "TEST_PROCESS_MARK"
DEADLINE = 120.0

#: Starts a grandchild in a session of its own whose parent ends at once, says so, and stays.
DAEMONISER = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    os.wait()
    print("ready", flush=True)
    time.sleep(600)
"""

#: Notes the polite signals and goes on.
STUBBORN = """
    import signal, time
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda number, _: print(number, flush=True))
    print("ready", flush=True)
    while True:
        time.sleep(600)
"""

#: A runner with one component that has a daemonised grandchild.
RUNNER = """
    import os, sys, time
    from pathlib import Path
    from testbed.stack.process import ProcessRequest, Supervisor
    supervisor = Supervisor()
    folder = Path(sys.argv[1])
    argv = (sys.executable, "-c", sys.argv[2])
    request = ProcessRequest("component", argv, folder / "component.log", os.environ, folder)
    component = supervisor.start(request)
    (folder / "pids.new").write_text(f"{supervisor.pid} {component.pid}")
    (folder / "pids.new").rename(folder / "pids")
    time.sleep(600)
"""


def marked(mark: str) -> set[int]:
    """Processes that carry the mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:  # ended meanwhile
            continue
    return found


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark for the processes of one test; whatever still carries it at the end is killed."""
    value = uuid.uuid4().hex
    yield value
    for pid in marked(value):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A supervisor that is closed at the end."""
    with Supervisor() as one:
        yield one


@pytest.fixture
def request_for(tmp_path: Path, mark: str) -> Callable[..., ProcessRequest]:
    """Make requests that run a piece of Python."""

    def make(name: str, code: str, *, grace: float = 5.0, job: bool = False) -> ProcessRequest:
        argv = (sys.executable, "-c", textwrap.dedent(code))
        env = {**os.environ, MARK: mark}
        return ProcessRequest(
            name, argv, tmp_path / f"{name}.log", env, tmp_path, grace=grace, job=job
        )

    return make


Make = Callable[..., ProcessRequest]


def crashes(supervisor: Supervisor) -> list[ProcessOutcome]:
    """Wait for unexpected ends."""
    found: list[ProcessOutcome] = []

    def some() -> bool:
        found.extend(supervisor.poll())
        return bool(found)

    wait_for(some, DEADLINE, "an unexpected end")
    return found


def started(supervisor: Supervisor, request: ProcessRequest) -> int:
    """Start a process that says when it is ready."""
    instance = supervisor.start(request)
    wait_for(
        lambda: "ready" in instance.tail().splitlines(), DEADLINE, f"readiness of {request.name}"
    )
    return instance.pid


def test_crash_is_noticed_with_the_tail_of_its_log(
    supervisor: Supervisor, request_for: Make
) -> None:
    """A component that ends by itself shows in poll, once, with exit code and last words."""
    instance = supervisor.start(
        request_for("component", "print('last words'); raise SystemExit(3)")
    )
    (outcome,) = crashes(supervisor)
    assert (outcome.name, outcome.exit_code, outcome.expected) == ("component", 3, False)
    assert outcome.tail().splitlines()[-1] == "last words"
    assert not instance.running
    assert instance.outcome == outcome
    assert supervisor.poll() == []


def test_killed_component_is_distinguished_from_one_that_ended(
    supervisor: Supervisor, request_for: Make
) -> None:
    """A signal from elsewhere is an unexpected end, too."""
    instance = supervisor.start(request_for("component", "import time; time.sleep(600)"))
    os.kill(instance.pid, signal.SIGKILL)
    (outcome,) = crashes(supervisor)
    assert (outcome.signal, outcome.exit_code) == (signal.SIGKILL, None)


def test_job_may_end_well_but_not_badly(supervisor: Supervisor, request_for: Make) -> None:
    """Success of a job is no crash, its failure is."""
    supervisor.start(request_for("good", "", job=True))
    good = supervisor.wait("good", DEADLINE)
    assert good is not None
    assert good.expected
    supervisor.start(request_for("bad", "raise SystemExit(1)", job=True))
    assert [item.name for item in crashes(supervisor)] == ["bad"]


def test_stop_that_was_asked_for_is_no_crash(supervisor: Supervisor, request_for: Make) -> None:
    """The outcome of a stop is expected, and poll stays silent."""
    started(
        supervisor,
        request_for("component", "import time; print('ready', flush=True); time.sleep(600)"),
    )
    outcome = supervisor.stop("component")
    assert outcome.expected
    assert supervisor.poll() == []
    assert supervisor.stop("component") == outcome


def test_stubborn_process_gets_int_then_term_then_kill(
    supervisor: Supervisor, request_for: Make
) -> None:
    """Each signal is tried in turn."""
    started(supervisor, request_for("component", STUBBORN, grace=1.5))
    outcome = supervisor.stop("component")
    assert outcome.signal == signal.SIGKILL
    assert outcome.expected
    noted = [line for line in outcome.tail().splitlines() if line.isdecimal()]
    assert noted == [str(int(signal.SIGINT)), str(int(signal.SIGTERM))]


def test_kill_does_not_ask_first(supervisor: Supervisor, request_for: Make) -> None:
    """With kill there is only SIGKILL."""
    started(supervisor, request_for("component", STUBBORN))
    outcome = supervisor.stop("component", kill=True)
    assert outcome.signal == signal.SIGKILL
    assert not any(line.isdecimal() for line in outcome.tail().splitlines())


def test_name_can_be_used_again_after_the_end(supervisor: Supervisor, request_for: Make) -> None:
    """A restart appends to the same log; a second process of a running name is refused."""
    request = request_for("component", "import time; print('ready', flush=True); time.sleep(600)")
    first = started(supervisor, request)
    with pytest.raises(StackError, match="component already runs"):
        supervisor.start(request)
    supervisor.stop("component")
    second = supervisor.start(request)
    assert second.pid != first
    assert second.tail().count("start: ") == 2
    assert supervisor.instances() == {"component": second}


def test_program_that_is_not_there_is_one_line(
    supervisor: Supervisor, tmp_path: Path, request_for: Make
) -> None:
    """A start that fails says what and why, and the supervisor goes on."""
    argv = (str(tmp_path / "absent"),)
    request = ProcessRequest("component", argv, tmp_path / "component.log", {}, tmp_path)
    with pytest.raises(StackError, match=r"cannot start component \(.*absent.*\): No such file"):
        supervisor.start(request)
    assert supervisor.start(request_for("other", "")).pid > 0


def test_stop_takes_the_grandchildren_along(
    supervisor: Supervisor, request_for: Make, mark: str
) -> None:
    """What a component started in its own group ends with it."""
    code = """
        import subprocess, time
        subprocess.Popen(["sleep", "600"])
        print("ready", flush=True)
        time.sleep(600)
    """
    started(supervisor, request_for("component", code))
    assert len(marked(mark)) == 2
    supervisor.stop("component", kill=True)
    wait_for(lambda: not marked(mark), DEADLINE, "the end of the grandchild")


def test_close_leaves_no_daemonised_grandchild(request_for: Make, mark: str) -> None:
    """Even a grandchild in a session of its own is gone when close returns."""
    with Supervisor() as supervisor:
        started(supervisor, request_for("component", DAEMONISER))
        wait_for(lambda: len(marked(mark)) == 2, DEADLINE, "the start of the grandchild")
    assert marked(mark) == set()


def test_close_stops_the_last_started_first(request_for: Make) -> None:
    """Who uses another component is stopped before it, and close may be called again."""
    code = "import time; print('ready', flush=True); time.sleep(600)"
    supervisor = Supervisor()
    for name in ("first", "second", "third"):
        started(supervisor, request_for(name, code))
    supervisor.close()
    supervisor.close()
    outcomes = [item.outcome for item in supervisor.instances().values()]
    ends = [item.ended_at for item in outcomes if item is not None]
    assert len(ends) == 3
    assert ends == sorted(ends, reverse=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_runner(tmp_path: Path, mark: str, number: signal.Signals) -> None:
    """However the runner ends, supervisor, component and daemonised grandchild end too."""
    code = textwrap.dedent(DAEMONISER)
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), str(tmp_path), code],
        env={**os.environ, MARK: mark},
        stderr=subprocess.DEVNULL,  # SIGINT ends it with a traceback
    )
    try:
        # Runner, supervisor, component and grandchild.
        wait_for(lambda: len(marked(mark)) == 4, DEADLINE, "the start of all")
    finally:
        runner.send_signal(number)
        runner.wait(DEADLINE)
    wait_for(lambda: not marked(mark), DEADLINE, "the end of all")


def test_kernel_ends_components_of_a_killed_supervisor(tmp_path: Path, mark: str) -> None:
    """Without help of the runner, which is stopped here, the component ends with its supervisor."""
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), str(tmp_path), textwrap.dedent(STUBBORN)],
        env={**os.environ, MARK: mark},
    )
    try:
        wait_for((tmp_path / "pids").exists, DEADLINE, "the start of the component")
        supervisor, component = map(int, (tmp_path / "pids").read_text(encoding="utf-8").split())
        runner.send_signal(signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: component not in marked(mark), DEADLINE, "the end of the component")
    finally:
        runner.kill()
        runner.wait(DEADLINE)


def test_components_end_with_a_killed_supervisor(request_for: Make, mark: str) -> None:
    """The runner ends what is left of them, sees it as a crash, and can't start more."""
    code = """
        import subprocess, time
        subprocess.Popen(["sleep", "600"])
        print("ready", flush=True)
        time.sleep(600)
    """
    with Supervisor() as supervisor:
        started(supervisor, request_for("component", code))
        os.kill(supervisor.pid, signal.SIGKILL)
        (outcome,) = crashes(supervisor)
        assert outcome.signal == signal.SIGKILL
        wait_for(lambda: not marked(mark), DEADLINE, "the end of the component and its child")
        with pytest.raises(StackError, match="supervisor has ended"):
            supervisor.start(request_for("other", ""))


def test_terminated_supervisor_stops_everything(request_for: Make, mark: str) -> None:
    """SIGTERM to the supervisor is as good as the end of the runner; SIGINT is not for it."""
    with Supervisor() as supervisor:
        started(supervisor, request_for("component", DAEMONISER))
        wait_for(lambda: len(marked(mark)) == 2, DEADLINE, "the start of the grandchild")
        os.kill(supervisor.pid, signal.SIGINT)
        started(supervisor, request_for("other", STUBBORN))
        os.kill(supervisor.pid, signal.SIGTERM)
        wait_for(lambda: not marked(mark), DEADLINE, "the end of all")
