"""Defects in the runner: a fault is begun and ended, and nothing happens."""

from __future__ import annotations

from typing import Any

from testbed.faults.rig import proxied
from testbed.selftest.patches.tools import put


def undisturbed() -> None:
    """The proxy of a link is asked for nothing."""

    def ask(*_: Any, **__: Any) -> None:
        """Say nothing to it."""

    put(proxied, "_ask", ask)
