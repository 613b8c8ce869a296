"""Segments of a comparison over the workers of the Dask cluster that makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import distributed

from testbed_drift.workers import Broken, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Before comparisons that have not begun: those that have begun hold their rows until they end.
SOONER: Final = 1

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ClusterWorkers:
    """Does tasks on all workers of the cluster; only within a task of Dask.

    Workers of Dask are daemons, which may have no processes of their own: what a comparison hands
    out goes back to the cluster, whatever ``TESTBED_DRIFT_WORKERS`` says.

    Attributes:
        used: addresses of the workers that did some.
    """

    used: set[str] = field(default_factory=set)

    def run(
        self, work: Callable[[Task], Result], tasks: Mapping[str, Task]
    ) -> dict[str, Result | Broken]:
        """Do tasks, wherever there is a worker free; one that fails leaves the others alone.

        Args:
            work: a function that a module holds under its name.
            tasks: argument by key; what they hold is sent to the cluster.
        """
        client = distributed.get_client()
        # Through the scheduler, which so can give them to anyone, and again where a worker dies.
        futures = [
            client.submit(_done, work, task, pure=False, priority=SOONER) for task in tasks.values()
        ]
        # Its own thread is free for them until it has all results: one that is lost with its worker
        # is made anew, maybe here.
        distributed.secede()
        try:
            return {key: self._taken(future) for key, future in zip(tasks, futures, strict=True)}
        finally:
            distributed.rejoin()

    def _taken(self, future: Any) -> Any:  # noqa: ANN401 - generic in the result
        try:
            worker, found = future.result()
        except Exception as error:  # noqa: BLE001 - a worker that died again and again, for example
            return Broken(failure(error))
        self.used.add(worker)
        return found


def _done(work: Callable[[Task], Result], task: Task) -> tuple[str, Result | Broken]:
    """Who did it, and what it gave."""
    worker = distributed.get_worker().address
    try:
        return worker, work(task)
    except Exception as error:  # noqa: BLE001 - the other tasks go on
        return worker, Broken(failure(error))
