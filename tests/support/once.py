"""What takes long to make is made by one worker of pytest, and copied by the others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of this worker's own with what ``make`` writes, which is called once a session.

    Args:
        factory: of this worker.
        name: of the folder; one for each thing that is made.
        make: writes a folder whole, or not at all.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / f"{name}.lock"):
        if not (shared / name).exists():
            make(shared / name)
    return Path(shutil.copytree(shared / name, factory.mktemp(name) / "model"))
