"""Becoming the drift job's process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def become(arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Become ``python -m testbed_drift``: signals reach it, and its exit code is ours.

    Args:
        arguments: of the job.
        environment: its variables; None for our own.
    """
    command = [sys.executable, "-m", "testbed_drift", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment or os.environ)  # noqa: S606 - our own interpreter
