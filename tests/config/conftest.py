"""The compiled tools, as commands for the tests of the configuration files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from testbed.stack.build import find

Run = Callable[..., str]


@pytest.fixture(scope="session")
def run_tool() -> Run:
    """Runs a tool of the stack; its output must come with exit code 0.

    Skips where the tool is not compiled, and fails there in CI.
    """

    def run(name: str, *arguments: object) -> str:
        status = find().programs[name]
        if not status.present:
            reason = f"{name} is not compiled; run: testbed stack install"
            if os.environ.get("CI"):
                pytest.fail(f"required in CI: {reason}")
            pytest.skip(reason)
        command = [str(status.path), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run
