"""What a test needs of the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest
from testbed.stack import build


def missing(reason: str) -> NoReturn:
    """Skip on a user's machine; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"required in CI: {reason}")
    pytest.skip(reason)


def need_compiled(*names: str) -> None:
    """Skip, or fail in CI, where compiled tools are not there: these, or all of them."""
    wanted = [row for row in build.status() if not names or row.name in names]
    absent = [row.name for row in wanted if not row.present]
    if absent:
        missing(f"not compiled: {', '.join(absent)}; run: testbed stack install")
