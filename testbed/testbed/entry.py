"""Entry point of ``testbed``: guards the command before anything else is imported."""

from __future__ import annotations

from testbed_domain.endings import run

TYPE_CHECKING = False  # as in testbed_domain.endings
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    run(_command_line, "testbed")


def _command_line() -> int:
    from testbed.cli import main as command_line  # noqa: PLC0415 - its imports are to be guarded

    return command_line()


if __name__ == "__main__":
    main()
