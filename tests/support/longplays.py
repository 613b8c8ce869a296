"""Long plays, which `make test` leaves out unless it runs in CI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTION = "--without-long"
REASON = "long: `make test-all` plays it, and CI"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Who names a file wants its tests: only who asks for it goes without."""
    help_ = "leave out what is marked `long`; with CI set, nothing is left out"
    parser.addoption(OPTION, action="store_true", help=help_)


def leave_out(items: Iterable[pytest.Item], config: pytest.Config) -> None:
    """Skip the long ones, where that was asked for: pytest names each at the end."""
    if config.getoption(OPTION) and not os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason=REASON))
