"""The last of three or more workers does what needs no stack, at a lower priority than the others.

What plays on a stack waits for more than half of its time, and starves where too much runs beside
it. So the quiet worker takes what the others leave of the processors, and they are never short of
it: the drift job's processes first (``tests/jobs``), which take their time whoever else runs, then
the quick tests. The others take those, too, once nothing is left that plays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

STACK: Final = "tests/stack/"
FEWEST: Final = 3
"""Workers of which the last one is quiet."""
NICE: Final = 5
QUIET: Final = "quiet"


class QuietScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist is untyped
    """File by file; to the quiet worker only those that need no stack."""

    def _quick(self) -> str | None:
        return next((file for file in self.workqueue if not file.startswith(STACK)), None)

    def _reschedule(self, node: WorkerController) -> None:
        if QUIET in node.workerinput and self._quick() is None:
            if not node.shutting_down:
                node.shutdown()
        else:
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if QUIET in node.workerinput and (file := self._quick()):
            self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Say to the last of the workers that it is the quiet one."""
    count, files = node.workerinput["workercount"], node.config.getoption("dist") == "loadfile"
    if files and count >= FEWEST and node.gateway.id == f"gw{count - 1}":
        node.workerinput[QUIET] = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Any | None:  # noqa: ANN401 - of xdist
    """Where files are handed out one by one."""
    return QuietScheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_configure(config: pytest.Config) -> None:
    """In the quiet worker itself: give way to the others, with all that is started."""
    if QUIET in getattr(config, "workerinput", {}):
        os.nice(NICE)
