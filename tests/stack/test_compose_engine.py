"""The engine of the Compose test, with a real container: nothing of it outlives its user."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from testbed.composetest.enclosure import CONTROL_GROUP
from testbed.composetest.engine import own_engine, probe, require_programs
from testbed.composetest.errors import NoEngineError
from testbed.stack import build
from testbed.stack.process import Supervisor

from tests.support.polling import wait_for

DEADLINE = 60.0

#: Starts an engine and a container in it, says so, and stays.
USER = """
    import sys, time
    from pathlib import Path
    from testbed.composetest.engine import own_engine
    from testbed.stack.process import Supervisor
    folder = Path(sys.argv[1])
    with Supervisor() as supervisor:
        with own_engine(supervisor, folder / "data", folder / "log", network=True) as engine:
            engine.ask("build", "--tag", "exporter", str(folder / "image"))
            engine.ask("run", "--detach", "--publish", "127.0.0.1:9100:9100", "exporter")
            print("ready", flush=True)
            time.sleep(600)
"""


@pytest.fixture(scope="module")
def engine_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine on which containers run; else the tests are skipped, as the tool is."""
    folder = tmp_path_factory.mktemp("probe")
    try:
        require_programs()
        with (
            Supervisor() as supervisor,
            own_engine(supervisor, folder / "data", folder / "log", network=True) as engine,
        ):
            probe(engine, folder)
    except NoEngineError as error:
        pytest.skip(str(error))


def of_engine(folder: Path) -> list[psutil.Process]:
    """Processes of an engine with its data in ``folder``, and of its containers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words or "/exporter-of-test" in words:
            found.append(process)
    return found


def names(folder: Path) -> set[str]:
    """What they are called."""
    found = set()
    for process in of_engine(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.usefixtures("engine_runs", "tools")
def test_nothing_outlives_the_user_of_an_engine(tmp_path: Path, ending: signal.Signals) -> None:
    """Killed or interrupted: no process, no mount, no bridge, no packet filter is left."""
    image = tmp_path / "image"
    image.mkdir()
    shutil.copy(build.find().path("node_exporter"), image / "exporter-of-test")
    dockerfile = 'FROM scratch\nCOPY exporter-of-test /\nENTRYPOINT ["/exporter-of-test"]\n'
    (image / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    before = network()
    argv = [sys.executable, "-c", textwrap.dedent(USER), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as user:
        try:
            assert user.stdout is not None
            assert user.stdout.readline() == "ready\n"
            # Started is a container whose first process may not have become its program yet.
            wait_for(lambda: {"dockerd", "exporter-of-test"} <= names(tmp_path), DEADLINE)
            assert network() == before
            user.send_signal(ending)
            user.wait(DEADLINE)
        finally:
            user.kill()
    wait_for(lambda: not of_engine(tmp_path), DEADLINE, lambda: f"left: {of_engine(tmp_path)}")
    assert str(tmp_path) not in Path("/proc/mounts").read_text("utf-8")
    assert network() == before


def network() -> tuple[list[str], str]:
    """The machine's own network devices and packet filter."""
    rules = subprocess.run(["iptables", "--list-rules"], capture_output=True, text=True, check=True)
    return sorted(psutil.net_if_addrs()), rules.stdout


@pytest.mark.usefixtures("engine_runs")
def test_the_next_engine_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """Control groups of a killed run are gone once an engine has come and ended."""
    with Supervisor() as supervisor:
        for _ in range(2):
            with own_engine(supervisor, tmp_path / "data", tmp_path / "log", network=False):
                pass
    assert not [*Path("/sys/fs/cgroup").glob(f"*/{CONTROL_GROUP}")]
