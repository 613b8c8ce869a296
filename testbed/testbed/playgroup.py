"""Plays scenarios one after the other on one stack: ``python -m testbed.playgroup NAME ...``.

What became of each goes into a file beside their folders, for :mod:`testbed.playall`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError
from testbed_domain.linefile import append_json

from testbed.console import BuildProgress, interruptible, say
from testbed.errors import EXIT_COULD_NOT_RUN
from testbed.playsession import PlaySession, needs_own_stack, stack_needs
from testbed.resources import find_scenario
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.servicefile import read_service
from testbed.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.settings import Settings

GROUP_FILE: Final = "group.jsonl"
"""Beside the folders of the runs: name, exit code, seconds and the reason of each."""


def grouped(
    names: Iterable[str], options: RunOptions, settings: Settings
) -> tuple[tuple[str, ...], ...]:
    """Scenarios that can share a stack, together; the others alone. Order stays.

    Args:
        names: of scenarios.
        options: of every run.
        settings: effective settings.
    """
    found: dict[object, list[str]] = {}
    for name in names:
        scenario = read_scenario(find_scenario(name))
        alone = needs_own_stack(scenario)
        found.setdefault(name if alone else stack_needs(scenario, options, settings), []).append(
            name
        )
    return tuple(map(tuple, found.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what is asked for; returns the highest exit code."""
    parser = argparse.ArgumentParser(prog="python -m testbed.playgroup", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="scenarios")
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--seed", type=int, default=1, help="seed of the traffic (default: 1)")
    parser.add_argument("--use-case", help="in place of the scenarios' own")
    parser.add_argument("--time-scale", type=float, help="in place of the scenarios' own")
    parser.add_argument("--service", type=Path, help="file of your own service")
    asked = parser.parse_args(arguments)
    try:
        options = RunOptions(
            use_case=asked.use_case,
            seed=asked.seed,
            time_scale=asked.time_scale,
            out=asked.out,
            target=None if asked.service is None else read_service(asked.service),
        )
        session = PlaySession(load_settings(), options, say=say, progress=BuildProgress())
        with interruptible(), session:
            return max(_play(session, name, asked.out) for name in asked.names)
    except DomainError as error:
        say(f"testbed: {error}")
        return EXIT_COULD_NOT_RUN


def _play(session: PlaySession, name: str, out: Path) -> int:
    """Play one; what could not be played hinders no other."""
    began, why = time.monotonic(), ""
    try:
        code = session.play(name).verdict.exit_code
    except DomainError as error:
        code, why = EXIT_COULD_NOT_RUN, str(error)
        say(f"testbed: {why}")
    seconds = time.monotonic() - began
    append_json(out / GROUP_FILE, {"name": name, "code": code, "seconds": seconds, "why": why})
    return code


if __name__ == "__main__":
    sys.exit(main())
