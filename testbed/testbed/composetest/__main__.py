"""``python -m testbed.composetest``: the command behind ``tools/compose-test``."""

from __future__ import annotations

from typing import NoReturn

from testbed_domain.endings import run


def main() -> NoReturn:
    """Run it and leave with its exit code."""
    run(_command_line, "compose-test")


def _command_line() -> int:
    from testbed.composetest.command import main as command_line  # noqa: PLC0415 - is to be guarded

    return command_line()


if __name__ == "__main__":
    main()
