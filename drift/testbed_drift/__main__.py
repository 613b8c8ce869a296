"""``python -m testbed_drift``: the commands of :mod:`testbed_drift.cli`, guarded."""

from __future__ import annotations

import sys
from importlib import import_module

from testbed_domain.endings import run

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    run(
        lambda: import_module("testbed_drift.cli").main(),
        "drift",
        # A job that goes on until it is stopped has done its work, whenever that comes.
        interrupted=0 if sys.argv[1:2] == ["watch"] else 130,
    )
