"""The compiled tools as commands, and the Dockerfile, for the tests of the configuration files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed.stack.build import find

from tests.support.needs import missing

Run = Callable[..., str]


@pytest.fixture(scope="session")
def run_tool() -> Run:
    """Runs a tool of the stack; its output must come with exit code 0.

    Skips where the tool is not compiled, and fails there in CI.
    """

    def run(name: str, *arguments: object) -> str:
        status = find().programs[name]
        if not status.present:
            missing(f"{name} is not compiled; run: testbed stack install")
        command = [str(status.path), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def dockerfile(repository: Path) -> str:
    """The Dockerfile, with continued lines joined."""
    return (repository / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def stages(dockerfile: str) -> dict[str, str]:
    """Stage name to its instructions."""
    found = re.split(r"(?m)^FROM \S+ AS (\S+)$", dockerfile)
    return dict(zip(found[1::2], found[2::2], strict=True))
