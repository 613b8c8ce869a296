"""Of three workers the last one does what needs no stack, and gives way to the others."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = """
from tests.support.quietworker import *
"""
TEST = """
import os, pathlib, pytest, time

@pytest.mark.parametrize("number", range(4))
def test_it(number, worker_id):
    with pathlib.Path("ran.txt").open("a") as ran:
        print(worker_id, os.nice(0), pathlib.Path(__file__).parent.name, file=ran)
    time.sleep(0.05)
"""


def _ran(folder: Path, workers: int) -> list[tuple[str, int, str]]:
    """Worker, priority and folder of each test of six files, half of which play on a stack."""
    for kind in ("stack", "unit"):
        (folder / "tests" / kind).mkdir(parents=True)
        for name in "abc":
            (folder / "tests" / kind / f"test_{kind}_{name}.py").write_text(TEST)
    (folder / "conftest.py").write_text(CONFTEST)
    options = (
        "-q",
        "-pxdist",
        f"-n{workers}",
        "--dist=loadfile",
        "--no-loadscope-reorder",
        "--rootdir=.",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-pno:cacheprovider", "tests"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "24 passed" in done.stdout, done.stdout + done.stderr
    lines = (line.split() for line in (folder / "ran.txt").read_text().splitlines())
    return [(worker, int(nice), kind) for worker, nice, kind in lines]


@pytest.mark.slow
def test_the_third_worker_takes_no_stack_and_gives_way(tmp_path: Path) -> None:
    """The others do all else, at the priority that pytest was started with."""
    ran = _ran(tmp_path, 3)
    usual = os.nice(0)
    assert {(nice - usual, kind) for worker, nice, kind in ran if worker == "gw2"} == {(5, "unit")}
    others = [(nice - usual, kind) for worker, nice, kind in ran if worker != "gw2"]
    assert {nice for nice, _ in others} == {0}
    assert [kind for _, kind in others].count("stack") == 12


@pytest.mark.slow
def test_two_workers_take_all_alike(tmp_path: Path) -> None:
    """None of them gives way."""
    assert {nice - os.nice(0) for _, nice, _ in _ran(tmp_path, 2)} == {0}
