"""Faults caused for real: whatever is broken, one line says what, and the exit code is 2."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.cli import command_tree, main
from testbed_domain.artefact import Artefact, ArtefactError, load_artefact
from testbed_domain.endings import guarded
from testbed_domain.logstore import open_log
from testbed_drift.cli import main as drift
from typer.core import TyperGroup

from tests.support.fulldisk import full_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("place")

SCENARIOS = {
    "broken": (b"a: [", "did not find expected node content"),
    "deep flow": (b"[" * 100_000, "nested more than 100 levels deep"),
    "deep flow, closed": (b"[" * 500 + b"]" * 500, "nested more than 100 levels deep"),
    "deep mappings": (b"{a: " * 5_000, "nested more than 100 levels deep"),
    "deep block": (
        b"".join(b" " * number + b"a:\n" for number in range(2_000)),
        "nested more than 100 levels deep",
    ),
    "deep list": (b"- " * 5_000 + b"x", "nested more than 100 levels deep"),
    "not text": (b"\xff\xfe\x00", "can't decode byte"),
    "no date": (b"name: 2001-99-99", "a value has no meaning: month must be in 1..12"),
    "no time": (b"name: !!timestamp x", "a value has no meaning"),
    "no number": (b"name: !!int x", "a value has no meaning"),
    "no truth": (b"name: !!bool x", "a value has no meaning"),
    "no binary": (b"name: !!binary \xc3\xa4", "failed to convert base64"),
    "code": (b"!!python/object:os.system {}", "could not determine a constructor"),
    "list as key": (b"? [a]\n: 1", "found unhashable key"),
    "unknown alias": (b"a: *b", "undefined alias"),
    "recursive": (b"&a {name: *a, phases: *a}", "the alias *a stands within what it means"),
    "merged aliases": (
        b"m0: &m0 {k: 1}\n"
        + b"".join(
            b"m%d: &m%d {<<: [%s]}\n" % (number, number, b",".join([b"*m%d" % (number - 1)] * 10))
            for number in range(1, 12)
        ),
        "with its aliases written out it holds over 1,000,000 values",
    ),
    "nested aliases": (
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (n, n, n - 1) for n in range(1, 200)),
        "nested more than 100 levels deep",
    ),
    "key twice": (b"name: a\nname: b\n", "the key 'name' stands twice in one mapping"),
    "two documents": (b"a: 1\n---\nb: 2\n", "holds 2 documents"),
    "control character": (b"a: \x01", "control characters are not allowed"),
    "empty": (b"", "one.yml"),
}


@pytest.mark.parametrize(("content", "reason"), SCENARIOS.values(), ids=SCENARIOS)
def test_scenario_that_is_no_scenario(
    line_of: Callable[..., str], tmp_path: Path, content: bytes, reason: str
) -> None:
    """Whatever its text is."""
    (tmp_path / "one.yml").write_bytes(content)
    assert reason in line_of("run", "./one.yml")


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere/at/all")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_folder, _loop, _dangling, _pipe, _endless])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one.yml", ["run", "./one.yml"]),
        ("testbed.toml", ["settings"]),
        ("testbed.toml", ["trust"]),
        ("log.db", ["log", "stats", "--log-url", "sqlite:///log.db"]),
    ],
)
def test_path_that_is_no_file(
    line_of: Callable[..., str],
    tmp_path: Path,
    make: Callable[[Path], None],
    name: str,
    words: list[str],
) -> None:
    """A folder, a symbolic link to itself, one to nowhere, a pipe, a device without an end."""
    make(tmp_path / name)
    assert name in line_of(*words)


@pytest.mark.parametrize("make", [_folder, _loop, _pipe, _endless])
@pytest.mark.parametrize("name", ["artefact.json", "reference.jsonl"])
@pytest.mark.slow
def test_artefact_whose_file_is_no_file(
    tmp_path: Path, small_artefact: Artefact, make: Callable[[Path], None], name: str
) -> None:
    """It is refused, in a moment, and no memory is filled."""
    shutil.copytree(small_artefact.path, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    make(tmp_path / "model" / name)
    with pytest.raises(ArtefactError, match=name):
        load_artefact(tmp_path / "model")


def _commands(group: TyperGroup, *before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, *before, name)
        else:
            needed = [one.opts[0] for one in command.params if one.required]
            yield (*before, name, *(f"{one}=x" if one[0] == "-" else "x" for one in needed))


BROKEN_SETTINGS = {
    "no TOML": ("home = [broken", "testbed.toml"),
    "unknown": ('hoem = "x"', "'hoem' is not a setting"),
    "NUL": ('home = "a\\u0000b"', "home holds a NUL character"),
    "wrong": ("trace_ratio = 5", "TESTBED_TRACE_RATIO"),
    "no folder": ('home = "/dev/full"', "/dev/full: Not a directory"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN_SETTINGS.values(), ids=BROKEN_SETTINGS)
@pytest.mark.slow
def test_no_command_passes_over_broken_settings(
    line_of: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    reason: str,
) -> None:
    """Every command there is, its own need of them or not."""
    (tmp_path / "testbed.toml").write_text(content)
    monkeypatch.delenv("TESTBED_HOME")
    commands = list(_commands(command_tree()))
    assert ("keys", "new", "x") in commands
    for words in commands:
        if words != ("trust",):
            assert reason in line_of(*words), words


RULES = {
    "labels": ("labels: [a]", "r.yml:1: labels of A must be a mapping"),
    "annotations": ("annotations: x", "r.yml:1: annotations of A must be a mapping"),
    "a label's value": ("labels: {a: {b: c}}", "r.yml:1: labels.a of A must be a text"),
    "expression": ("expr: [up]", "r.yml:1: expr of A must be a text"),
    "name": ("alert: {a: b}", "r.yml:1: alert of a rule of group g must be a text"),
}


@pytest.mark.parametrize(("field", "where"), RULES.values(), ids=RULES)
def test_rule_whose_field_is_of_another_kind(
    line_of: Callable[..., str], tmp_path: Path, field: str, where: str
) -> None:
    """The field is named."""
    rule = {"alert": "A", "expr": "up"} | {field.partition(":")[0]: field.partition(": ")[2]}
    text = ", ".join(f"{name}: {value}" for name, value in rule.items())
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yml").write_text(f"groups: [{{name: g, rules: [{{{text}}}]}}]\n")
    assert where in line_of("scenarios", "--rules", "rules")


@pytest.mark.parametrize("make", [_folder, _endless])
def test_verdict_that_is_no_file(
    line_of: Callable[..., str], tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """That it can't be read is said, and not that the run had none."""
    (tmp_path / "run").mkdir()
    make(tmp_path / "run" / "verdict.json")
    assert line_of("report", "run").startswith("testbed: cannot read ")


@pytest.mark.parametrize("content", ["", "[]", '{"run": "one"', "[" * 50_000])
@pytest.mark.parametrize("words", [("status",), ("down",), ("clean", "--older-than", "0h")])
def test_stack_file_that_is_half_written(
    line_of: Callable[..., str], tmp_path: Path, content: str, words: tuple[str, ...]
) -> None:
    """Nobody says that nothing runs, and nothing that may be in use is removed."""
    file = tmp_path / "home" / "runs" / "one" / "stack.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert "one/stack.json can't be read" in line_of(*words)
    assert file.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "postgresql://user:hidden@host:port/log",
        "postgresql://user:hidden@127.0.0.1:1/log",
        "sqlite:////nowhere/at/all/log.db",
        "sqlite://",
        "",
        "mysql://x/y",
        "sqlite:///garbage.db",
        "sqlite:///empty.db",
    ],
)
def test_log_url_that_leads_nowhere(line_of: Callable[..., str], tmp_path: Path, url: str) -> None:
    """No password is shown."""
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1_000)
    (tmp_path / "empty.db").touch()
    assert "hidden" not in line_of("log", "stats", "--log-url", url)


@pytest.mark.parametrize(
    "url", ["http://[", "http://127.0.0.1:99999", "http://u:hid/den@127.0.0.1:1", "http://", " "]
)
def test_otlp_endpoint_that_is_no_url(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, url: str
) -> None:
    """It is refused before anything is measured; no part of a password is shown."""
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 400)
    table = str(tmp_path / "a.csv")
    line = _drift(capfd, "run", "--reference", table, "--current", table, "--otlp-endpoint", url)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in line
    assert "hid" not in line


def test_textfile_that_can_not_be_written(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The decision is printed, but a run whose metrics nobody sees is not one that went well."""
    rows = "\n".join(f"{number},{number % 7}" for number in range(400))
    (tmp_path / "a.csv").write_text(f"a,b\n{rows}\n")
    (tmp_path / "t.prom").symlink_to("/proc/nowhere.prom")
    table = str(tmp_path / "a.csv")
    textfile = str(tmp_path / "t.prom")
    code = drift(["run", "--reference", table, "--current", table, "--textfile", textfile])
    shown = capfd.readouterr()
    assert code == 2
    assert "NO_ACTION" in shown.out
    assert shown.err.startswith(f"drift: cannot write {textfile}")


def test_retraining_that_fails(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small_artefact: Artefact
) -> None:
    """The result is on standard output; the reason is said, and the exit code is that of errors."""
    monkeypatch.setenv("TESTBED_DRIFT_LOG_URL", "sqlite:///nowhere.db")
    monkeypatch.setenv("TESTBED_DRIFT_ARTEFACT", str(small_artefact.path))
    monkeypatch.setenv("TESTBED_DRIFT_MANAGEMENT_URLS", "http://127.0.0.1:1")
    assert drift(["retrain"]) == 2
    shown = capfd.readouterr()
    assert json.loads(shown.out)["outcome"] == "failed"
    assert shown.err.startswith("drift: retraining failed: there is no prediction log")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("home", ["/proc/nowhere", "file", "loop"])
@pytest.mark.slow
def test_home_that_can_not_be_written(
    line_of: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """A read-only file system, a file, a symbolic link to itself."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("TESTBED_HOME", home)
    assert home.strip("/").partition("/")[0] in line_of("train", "--use-case", "diabetes")


@pytest.mark.parametrize("name", ["", "runs", "models", "loads", "references"])
@pytest.mark.parametrize("make", [Path.touch, _loop, _dangling, _pipe])
def test_folder_that_is_none(
    line_of: Callable[..., str], tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    """That nothing can be in it is not said as if nothing were."""
    path = tmp_path / "home" / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    for words in (["clean"], ["status"], ["drift", "reference", "list"]):
        assert str(path) in line_of(*words)


def test_store_of_references_that_is_no_folder(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Wherever it was named."""
    (tmp_path / "store").touch()
    assert "store/x: Not a directory" in _drift(capfd, "reference", "list", "--store", "store/x")


@pytest.mark.slow
def test_disk_that_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing half is left under the final name."""
    with Path(os.devnull).open("w", encoding="utf-8") as nothing:  # what is captured is a file, too
        monkeypatch.setattr(sys, "stderr", nothing)
        monkeypatch.setattr(sys, "stdout", nothing)
        monkeypatch.setattr(sys, "argv", ["testbed", "train", "--use-case", "diabetes"])
        with full_disk(100):
            assert guarded(main, "testbed") == 2
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_export_to_a_disk_that_is_full(line_of: Callable[..., str], tmp_path: Path) -> None:
    """The system's own full device."""
    with open_log(f"sqlite:///{tmp_path / 'log.db'}"):
        pass
    assert "/dev/full" in line_of(
        "log", "export", "/dev/full/x.parquet", "--log-url", "sqlite:///log.db"
    )


def _drift(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert drift(words) == 2
    shown = capfd.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("drift: ")
    return line


@pytest.mark.parametrize("content", ["", "{", '{"a":' * 50_000])
@pytest.mark.parametrize("name", ["reference.json", "rows.parquet", "calibration.json"])
def test_stored_reference_that_is_half_written(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: str
) -> None:
    """Each of its files."""
    rows = "\n".join(f"{number},{number % 7}" for number in range(400))
    (tmp_path / "a.csv").write_text(f"a,b\n{rows}\n")
    store = ("--store", str(tmp_path / "store"))
    assert drift(["reference", "add", "one", str(tmp_path / "a.csv"), *store]) == 0
    capfd.readouterr()
    (folder,) = (file.parent for file in (tmp_path / "store").rglob("reference.json"))
    (folder / name).write_text(content)
    line = _drift(capfd, "run", "--reference", "one", "--current", str(tmp_path / "a.csv"), *store)
    assert "one@1" in line or name in line


COMMANDS = {
    "testbed": ("testbed.entry", "typer", 2),
    "api": ("testbed_api", "pydantic", 2),
    "drift": ("testbed_drift", "pydantic", 130),
    "receiver": ("testbed_receiver", "uvicorn", 2),
}


@pytest.mark.parametrize(("module", "imported", "code"), COMMANDS.values(), ids=COMMANDS)
def test_interrupt_while_modules_load(
    tmp_path: Path, module: str, imported: str, code: int
) -> None:
    """Ctrl-C is one line then, too."""
    (tmp_path / f"{imported}.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()\n"
    )
    ended = _run("-m", module, "--help", environment={"PYTHONPATH": str(tmp_path)})
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
    assert ended.stderr.endswith(": interrupted\n")


@pytest.mark.parametrize("module", ["testbed.entry", "testbed_domain.endings"])
def test_guard_that_is_there_at_once(module: str) -> None:
    """Before it is there an interrupt has a traceback, so it waits for no module."""
    code = (
        f"import sys; before = {{*sys.modules}}; import {module}; print({{*sys.modules}} - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in ast.literal_eval(ended.stdout)}
    assert loaded <= {"testbed", "testbed_domain", "__future__", "errno"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_end_of_a_command_at_work(tmp_path: Path, number: int) -> None:
    """One line, whichever signal it was, and what it began is cleared away."""
    code = (
        "import os, signal, sys, tempfile\n"
        "from testbed_domain.endings import run\n"
        "def work():\n"
        "    with tempfile.TemporaryDirectory(dir='.'):\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "        signal.pause()\n"
        "run(work, 'x')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False, text=True
    )
    assert (ended.returncode, ended.stderr) == (2, "x: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_end_within_c_code_that_runs_python(tmp_path: Path, number: int) -> None:
    """As extension modules do when they are imported; Python ends by SIGINT if it may."""
    work = f"import os, signal; os.kill(os.getpid(), {int(number)}); signal.pause()"
    (tmp_path / "x.py").write_text(
        "import ctypes\n"
        "from testbed_domain.endings import run\n"
        "run_string = ctypes.pythonapi.PyRun_String\n"
        "run_string.restype = ctypes.py_object\n"
        "run_string.argtypes = [ctypes.c_char_p, ctypes.c_int] + [ctypes.py_object] * 2\n"
        f"run(lambda: run_string({work.encode()!r}, 257, {{}}, {{}}), 'x', 0)\n"
    )
    ended = _run("-m", "x", environment={"PYTHONPATH": str(tmp_path)})
    assert (ended.returncode, ended.stderr) == (0, "x: interrupted\n")


def test_copy_to_a_disk_that_is_full(capfd: pytest.CaptureFixture[str]) -> None:
    """The first file that was refused is named, not a list of all."""
    refused = [("a", "/full/a", "[Errno 28] No space left on device"), ("b", "/full/b", "same")]

    def copy() -> int:
        raise shutil.Error(refused)

    assert guarded(copy, "testbed") == 2
    assert capfd.readouterr().err == (
        "testbed: cannot copy to /full/a: [Errno 28] No space left on device\n"
    )


def test_interrupt_of_a_command(
    line_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that have nothing to end are no exception."""

    def interrupt(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("testbed_domain.logstore.open_log", interrupt)
    assert line_of("log", "stats") == "testbed: interrupted"


@pytest.mark.parametrize(
    "words", [pytest.param(("scenarios",), marks=pytest.mark.slow), ("--help",), ("settings",)]
)
def test_output_that_nobody_can_take(words: tuple[str, ...]) -> None:
    """A full disk is one line; a reader that has had enough, or a closed output, is none."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = _run("-m", "testbed.entry", *words, stdout=full.fileno())
    assert ended.returncode == 2
    assert ended.stderr == (
        "testbed: No space left on device: free some space, or choose another place\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = _run("-m", "testbed.entry", *words, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (2, "")


def test_bug_keeps_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """But never its exit code of 1, which is a verdict."""

    def bug() -> int:
        raise ZeroDivisionError

    assert guarded(bug, "testbed") == 2
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(("asked", "shown"), [("", False), ("default", True)])
def test_warnings_of_libraries_stay_away_from_users(asked: str, *, shown: bool) -> None:
    """Unless somebody asks for them."""
    code = (
        "from testbed_domain.endings import run\n"
        "import numpy\n"
        "run(lambda: int(numpy.isfinite(numpy.ones(1) / 0).sum()), 'x')\n"
    )
    ended = _run("-c", code, environment={"PYTHONWARNINGS": asked})
    assert ended.returncode == 0
    assert ("RuntimeWarning" in ended.stderr) is shown


def _run(
    *words: str, environment: dict[str, str] | None = None, stdout: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=os.environ | (environment or {}),
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        timeout=120,
    )
