"""What commands import: help, and what only looks, must not wait for what takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from testbed.cli import COMMANDS, command_tree

if TYPE_CHECKING:
    from pathlib import Path

HEAVY: Final = frozenset(
    (
        *(
            "evidently",
            "fastapi",
            "gevent",
            "grafana_foundation_sdk",
            "httpx",
            "jinja2",
            "jsonpath",
        ),
        *("locust", "mlflow", "onnx", "onnxruntime", "opentelemetry", "pandas", "plotly"),
        *("promql_parser", "pyarrow", "scipy", "sklearn", "skl2onnx", "sqlalchemy", "starlette"),
        *("testbed.runner", "testbed.scenario", "uvicorn"),
    )
)
"""A tenth of a second of the processor and more, each."""
LISTING: Final = frozenset(("numpy", "testbed.settings", "yaml"))
"""What a list of commands does not need, either."""


def imported(*words: str, folder: Path) -> frozenset[str]:
    """What a command had imported when it ended."""
    program = (
        "import atexit, json, sys\n"
        "from testbed.entry import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "main()\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program, *words),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return frozenset(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--help",), ("--version",)], ids=" ".join)
def test_list_of_commands_imports_no_command(words: tuple[str, ...], tmp_path: Path) -> None:
    """Only what parses a command line and prints."""
    assert imported(*words, folder=tmp_path) & (HEAVY | LISTING) == frozenset()


@pytest.mark.parametrize(
    "words",
    [
        *(
            ("status",),
            ("down",),
            ("runs",),
            ("runs", "--json"),
            ("settings",),
            ("keys", "new", "x"),
        ),
        *(("stack", "status"), ("clean", "--dry-run"), ("drift", "run", "--help")),
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_cheap_commands_import_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    """What looks at files and processes needs no library of models, load or monitoring."""
    assert imported(*words, folder=tmp_path) & HEAVY == frozenset()


def test_no_help_imports_what_takes_seconds(tmp_path: Path) -> None:
    """The modules of all commands, which every ``testbed COMMAND --help`` imports one of."""
    program = (
        "import json, sys\n"
        "from testbed.cli import command_tree\n"
        "command_tree()\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert HEAVY & set(json.loads(done.stdout)) == frozenset()


def test_list_says_what_the_commands_say_of_themselves() -> None:
    """The list has its own texts, so that it need not import the commands."""
    tree = command_tree().commands
    assert list(tree) == list(COMMANDS)
    for name, (_module, text) in COMMANDS.items():
        own = (tree[name].help or "").partition("\n\n")[0]
        assert " ".join(own.split()) == text, name
