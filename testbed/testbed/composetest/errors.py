"""What keeps the tool from running here, which is no failure."""

from __future__ import annotations

from testbed.errors import EXIT_PASS, TestbedError


class NoEngineError(TestbedError):
    """No container engine can be started on this machine; says why."""

    exit_code = EXIT_PASS
