"""The packages as a user installs them: into an empty environment, with no checkout at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commandline import CommandLine
from tests.support.needs import missing

from .playing import QUICK, play

pytestmark = pytest.mark.long  # builds and installs all that is shipped

PROJECT = "ml-observability-testbed"
PLUGIN = "pytest-ml-observability-testbed"
LIMIT = 300


@dataclass(frozen=True)
class Uv:
    """The uv of the checkout; takes what it needs from its cache, which `make setup` filled."""

    program: str
    checkout: Path

    def __call__(self, *words: str | Path, environment: Path | None = None) -> str:
        """Run it in the checkout and return what it says."""
        place = {} if environment is None else {"UV_PROJECT_ENVIRONMENT": str(environment)}
        done = subprocess.run(
            [self.program, *map(str, words), "--offline"],
            cwd=self.checkout,
            env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
            | {"UV_LINK_MODE": "hardlink", **place},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode and "network was disabled" in done.stdout:
            missing(f"uv's cache lacks what the packages are built of:\n{done.stdout}")
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def uv(repository: Path) -> Uv:
    """Uv, as `make setup` has it."""
    command = [str(repository / "tools" / "setup"), "--print-uv"]
    return Uv(subprocess.check_output(command, text=True).strip(), repository)


@pytest.fixture(scope="module")
def wheels(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every member of the workspace, built by way of its source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--all-packages", "--out-dir", folder)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(uv: Uv, wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the locked packages and the wheels."""
    folder = tmp_path_factory.mktemp("environment")
    locked = ("--locked", "--no-dev", "--no-install-workspace")
    wanted = ("--package", PROJECT, "--package", PLUGIN)
    uv("sync", *locked, *wanted, "--python", sys.executable, environment=folder)
    uv("pip", "install", "--no-deps", "--python", folder / "bin" / "python", *wheels)
    return folder


def test_wheels_demand_each_other_at_one_version(uv: Uv, installed: Path) -> None:
    """What they say of one another and of others holds; one alone brings a plugin of pytest."""
    uv("pip", "check", "--python", installed / "bin" / "python")
    script = (
        "import importlib.metadata as m\n"
        "own = [d for d in m.distributions() if 'testbed' in d.name]\n"
        "assert len({d.version for d in own}) == 1\n"
        "for d in own:\n"
        "    asked = [r for r in d.requires or () if r.startswith(('testbed-', 'ml-obs'))]\n"
        "    names = {r.split('==')[0].split('[')[0] for r in asked}\n"
        "    assert names == {r.split('==')[0] for r in asked if r.endswith('==' + d.version)}\n"
        "plugins = [d.name for d in own if d.entry_points.select(group='pytest11')]\n"
        f"assert plugins == ['{PLUGIN}'], plugins\n"
        "print(len(own))\n"
    )
    python = str(installed / "bin" / "python")
    counted = subprocess.check_output([python, "-I", "-c", script], text=True)
    project = tomllib.loads((uv.checkout / "pyproject.toml").read_text("utf-8"))
    assert int(counted) == len(project["tool"]["uv"]["workspace"]["members"])


def test_a_scenario_runs_without_a_checkout(
    wheels: list[Path], installed: Path, command_line: CommandLine
) -> None:
    """Rules, routes, scenarios, models and tools are found, and the verdict passes."""
    command_line.program = installed / "bin" / "testbed"
    version = command_line.run("--version")
    assert version.code == 0
    assert {version.output.strip()} == {path.name.split("-")[1] for path in wheels}
    checked = command_line.run("stack", "check")
    assert checked.code == 0, checked.output
    played = play(command_line, "normal", *QUICK)
    assert played.code == 0, played.output
    assert played.verdict["run"]["scenario"] == "normal"


def test_demo_is_the_scenario_demo(installed: Path, command_line: CommandLine) -> None:
    """`testbed demo` is `testbed run demo`: it refuses what that refuses, in the same words."""
    command_line.program = installed / "bin" / "testbed"
    short = command_line.run("demo", "--time-scale", "10000")
    long = command_line.run("run", "demo", "--time-scale", "10000")
    assert (short.code, short.output) == (long.code, long.output)
    assert short.code == 2
    assert "10000" in short.output
