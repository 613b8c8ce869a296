"""Expected errors: one line that says what to do, and an exit code."""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_PASS: Final = 0
EXIT_VERDICT_FAILED: Final = 1
EXIT_COULD_NOT_RUN: Final = 2


class TestbedError(Exception):
    """Base of all expected errors; printed as one line, without a traceback.

    Bugs don't derive from it and keep their traceback.
    """

    __test__ = False  # the name must not make pytest collect it
    exit_code: ClassVar[int] = EXIT_COULD_NOT_RUN


class UsageError(TestbedError):
    """Input of the user that can't be used: a name, a file, an option."""


class StackError(TestbedError):
    """A tool or a process of the stack that could not be built, started or kept running."""


class SlowMachineError(StackError):
    """What failed is the machine's doing: it was too slow for the time scale of the run."""


class StoppedError(TestbedError):
    """The user ended the command before it was done."""
