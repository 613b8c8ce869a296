"""Private names of other projects: each stands in a decision record, and they are few."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.privatenames import Origin, private_names

if TYPE_CHECKING:
    from pathlib import Path

RECORD: Final = "docs/decisions/0013-private-names.md"
ROW: Final = re.compile(r"^\| `(?P<file>[^`]+\.py)` \| `(?P<name>[^`]+)` \|", re.MULTILINE)
LIMIT: Final = 8
# Changes the whole process when it is imported, so its classes are taken to have any name.
PATCHING: Final = "locust"

# Modules of the source that import Evidently.
EVIDENTLY: Final = {f"drift/testbed_drift/rendering/{name}.py" for name in ("library", "uilibrary")}


def _has(base: Origin, name: str) -> bool:
    if base.module.partition(".")[0] == PATCHING:
        return True
    return hasattr(getattr(importlib.import_module(base.module), base.name), name)


@cache
def _sources(repository: Path) -> dict[str, str]:
    """Path of each module to its text."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=repository, capture_output=True, check=True, text=True
    )
    return {
        path: (repository / path).read_text(encoding="utf-8")
        for path in listed.stdout.split()
        if not path.startswith("tests/")
    }


@pytest.mark.slow
def test_private_names_of_other_projects_stand_in_the_record(repository: Path) -> None:
    """Those in the source and those in the record are the same, and at most eight."""
    recorded = {
        (row["file"], row["name"])
        for row in ROW.finditer((repository / RECORD).read_text(encoding="utf-8"))
    }
    found = {
        (path, name)
        for path, text in _sources(repository).items()
        for name in private_names(text, _has)
    }
    assert found == recorded
    assert len(recorded) <= LIMIT


def test_evidently_is_used_without_its_legacy_half(repository: Path) -> None:
    """Evidently is imported where its usage reports are turned off, by what it goes on with."""
    found = {
        (path, node.module)
        for path, text in _sources(repository).items()
        if "evidently" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evidently")
    }
    assert {path for path, _ in found} == EVIDENTLY
    assert not [module for _, module in found if "legacy" in str(module)]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from lib._inner import thing", {"lib._inner"}),
        ("from lib import _thing, other", {"lib._thing"}),
        ("import lib._inner", {"lib._inner"}),
        ("import lib\nlib._run()", {"._run"}),
        ("def use(thing):\n    thing._state = 1", {"._state"}),
        ("def use(thing):\n    return getattr(thing, '_state')", {"._state"}),
        ("import logging\nlogging.getLogger('lib._inner.part')", {"lib._inner.part"}),
        ("from lib import Base\nclass Ours(Base):\n    def _hook(self): ...", {"Base._hook"}),
        ("import lib\nclass Ours(lib.Base):\n    def _hook(self): ...", {"Base._hook"}),
        (
            "from lib import Base\nclass Ours(Base[int]):\n    def run(self): self._state",
            {"Base._state"},
        ),
        (
            "from lib import Base\nclass Ours(Base):\n    def run(self): super()._start()",
            {"Base._start"},
        ),
        ("from lib import Base\nclass Ours(Base):\n    def _own(self): ...", set()),
        ("from lib import Base\nclass Ours(Base):\n    def run(self): self._mine = 1", set()),
        ("class Ours:\n    def __init__(self, other): self._a = other._a", set()),
        ("from testbed_otel import sdk\nsdk._quiet", set()),
        ("from testbed_otel._inner import thing", set()),
        ("import os\nos._exit(row._asdict())", set()),
        ("_ = lib.__doc__", set()),
    ],
)
def test_private_names_are_found(source: str, names: set[str]) -> None:
    """Of other projects in every form; our own and what is documented are none."""
    assert private_names(source, lambda _, name: name == "_hook") == names
