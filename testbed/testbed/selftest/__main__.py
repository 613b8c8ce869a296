"""``python -m testbed.selftest DEFECT FOLDER``: play one defect; exit code as ``testbed run``."""

from __future__ import annotations

import sys
from pathlib import Path

from testbed_domain.errors import DomainError

from testbed.board import Board
from testbed.console import BuildProgress, interruptible, out, say
from testbed.errors import EXIT_COULD_NOT_RUN, EXIT_PASS, EXIT_VERDICT_FAILED
from testbed.planting import RUNNER
from testbed.preparation import prepare
from testbed.report import render_table
from testbed.runner import play
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.schedule import schedule
from testbed.selftest.catalogue import defect_named, scenario_file
from testbed.selftest.launcher import apply
from testbed.settings import load_settings


def main() -> int:
    """Play it."""
    name, folder = sys.argv[1:]
    defect = defect_named(name)
    brought = Path(folder).with_name(f"{name}-brought")
    settings = load_settings().model_copy(update={"load_processes": defect.processes})
    if patch := defect.planting.patches.get(RUNNER):
        apply(patch)
    try:
        with interruptible():
            prepared = prepare(
                read_scenario(scenario_file(defect.scenario)),
                defect.brings(RunOptions(out=Path(folder)), brought),
                settings,
                progress=BuildProgress(),
                say=say,
                planting=defect.planting,
            )
            played, factor = prepared.scenario, prepared.factor
            with Board(out, defect.what, schedule(played, factor), played.duration / factor) as b:
                verdict = play(prepared, b)
    except DomainError as error:
        sys.stderr.write(f"testbed: {error}\n")
        return EXIT_COULD_NOT_RUN
    out.print(render_table(verdict))
    return EXIT_PASS if verdict.passed else EXIT_VERDICT_FAILED


if __name__ == "__main__":
    sys.exit(main())
