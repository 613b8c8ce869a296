"""The peers' own Python environments, made once from pinned requirements in the per-user cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock
from testbed.stack.build import cache_folder

HERE: Final = Path(__file__).parent
SETUP: Final = HERE.parents[2] / "tools" / "setup"
# MLServer 1.7 refuses newer ones.
NEWEST: Final = (3, 12)
COMPLETE: Final = "complete"
SECONDS: Final = 900


class EnvironmentMissingError(Exception):
    """A peer can't be installed here; says why, in one line."""


def environment(peer: str) -> Path:
    """The ``bin`` folder of an environment with what ``PEER.txt`` lists; made if it isn't there.

    Raises:
        EnvironmentMissingError: it can't be made.
    """
    requirements = HERE / f"{peer}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "peers" / f"{peer}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        # An interrupted installation is never taken for a whole one.
        if not (folder / COMPLETE).is_file():
            _make(folder, requirements)
            (folder / COMPLETE).touch()
    return folder / "bin"


def _make(folder: Path, requirements: Path) -> None:
    uv = _run(str(SETUP), "--print-uv").strip()
    python = sys.executable if sys.version_info[:2] <= NEWEST else ".".join(map(str, NEWEST))
    _run(uv, "venv", "--clear", "--python", python, str(folder))
    target = str(folder / "bin" / "python")
    _run(uv, "pip", "install", "--compile-bytecode", "--python", target, "-r", str(requirements))


def _run(*command: str) -> str:
    """What a command prints.

    Raises:
        EnvironmentMissingError: it fails, or takes too long.
    """
    settings = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    try:
        done = subprocess.run(
            command, env=settings, capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise EnvironmentMissingError(f"{command[0]} failed: {last}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissingError(str(error)) from None
    return done.stdout
