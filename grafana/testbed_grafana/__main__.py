"""``python -m testbed_grafana [--check]``: write the dashboards, or say which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed_grafana.files import FOLDER, stale, write

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed_grafana",
        description="Write the Grafana dashboards from their Python source.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is out of date"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the JSON files lie")
    options = parser.parse_args(arguments)
    if not options.check:
        for path in write(options.folder):
            print(f"wrote {path}")  # noqa: T201 - what the command says
        return 0
    differing = stale(options.folder)
    for name in differing:
        message = f"{options.folder / name} is out of date: run `python -m testbed_grafana`"
        print(message, file=sys.stderr)  # noqa: T201 - what the command says
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
