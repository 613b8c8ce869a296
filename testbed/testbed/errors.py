"""Expected errors of running a stack, and the exit codes of the command line.

All derive from :class:`testbed_domain.errors.DomainError`: one line that says what to do. Bugs
don't, and keep their traceback.
"""

from __future__ import annotations

from typing import Final

from testbed_domain.endings import EXIT_COULD_NOT_RUN
from testbed_domain.errors import DomainError, UsageError

__all__ = [
    "EXIT_COULD_NOT_RUN",
    "EXIT_PASS",
    "EXIT_VERDICT_FAILED",
    "SlowMachineError",
    "StackError",
    "StoppedError",
    "UsageError",
]

EXIT_PASS: Final = 0
EXIT_VERDICT_FAILED: Final = 1


class StackError(DomainError):
    """A tool or a process of the stack that could not be built, started or kept running."""


class SlowMachineError(StackError):
    """What failed is the machine's doing: it was too slow for the time scale of the run."""


class StoppedError(DomainError):
    """The user ended the command before it was done."""
