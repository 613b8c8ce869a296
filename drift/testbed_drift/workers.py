"""Worker processes that stay: they import once, keep what they learnt, and fail alone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# A process may be killed from outside; a task whose process ends again is what ends it.
ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True)
class Broken:
    """What a task gave that failed: one line that says why."""

    message: str


class Workers:
    """Runs tasks in at most ``count`` processes, each task by its key always in the same one.

    They start with the first task. A task that fails, or ends its process, leaves the others
    alone. Close it, or use it in ``with``.

    Args:
        count: most processes.
    """

    def __init__(self, count: int) -> None:
        self._slots: list[ProcessPoolExecutor | None] = [None] * count
        self._places: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, after the task that each has begun."""
        for place in range(len(self._slots)):
            self._drop(place)

    def start(
        self, work: Callable[[Task], Result], tasks: Mapping[str, Task]
    ) -> Callable[[], dict[str, Result | Broken]]:
        """Begin tasks.

        Args:
            work: a function that a module holds under its name.
            tasks: argument by key; what they hold is sent to the processes.

        Returns:
            Waits for all results, and gives them by key in the order of the tasks.
        """
        begun = self._submit(work, tasks)

        def collect() -> dict[str, Result | Broken]:
            found: dict[str, Result | Broken] = {}
            attempts = dict.fromkeys(tasks, 0)
            waiting = begun
            while waiting:
                ended = self._gather(waiting, found)
                for key in ended:
                    attempts[key] += 1
                    if attempts[key] >= ATTEMPTS:
                        found[key] = Broken("its worker process ended; is the memory enough?")
                left = {key: tasks[key] for key in tasks if key not in found}
                waiting = self._submit(work, left)
            return {key: found[key] for key in tasks}

        return collect

    def run(
        self, work: Callable[[Task], Result], tasks: Mapping[str, Task]
    ) -> dict[str, Result | Broken]:
        """Do tasks; as :meth:`start`, and wait."""
        return self.start(work, tasks)()

    def _submit(
        self, work: Callable[[Task], Result], tasks: Mapping[str, Task]
    ) -> dict[str, Future[Result]]:
        return {key: self._begun(key, work, task) for key, task in tasks.items()}

    def _begun(self, key: str, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        try:
            return self._slot(key).submit(work, task)
        except BrokenProcessPool:  # its process ended since the last task
            self._drop(self._places[key])
            return self._slot(key).submit(work, task)

    def _slot(self, key: str) -> ProcessPoolExecutor:
        place = self._places.setdefault(key, len(self._places) % len(self._slots))
        executor = self._slots[place]
        if executor is None:
            context = multiprocessing.get_context("spawn")  # threads of telemetry must not fork
            executor = ProcessPoolExecutor(1, context, initializer=_begin)
            self._slots[place] = executor
        return executor

    def _gather(
        self, waiting: Mapping[str, Future[Result]], found: dict[str, Result | Broken]
    ) -> list[str]:
        """Take what is done; the tasks that were running when their process ended."""
        ended: dict[int, str] = {}
        for key, future in waiting.items():
            place = self._places[key]
            try:
                found[key] = future.result()
            except BrokenProcessPool:
                ended.setdefault(place, key)  # a process does its tasks in their order
            except CancelledError:  # its process ended before this one's turn: done again
                continue
            except Exception as error:  # noqa: BLE001 - the other tasks go on
                found[key] = Broken(failure(error))
        for place in ended:
            self._drop(place)
        return list(ended.values())

    def _drop(self, place: int) -> None:
        executor = self._slots[place]
        if executor is not None:
            executor.shutdown(cancel_futures=True)
        self._slots[place] = None


def failure(error: Exception) -> str:
    """One line about what failed; what is no user's error keeps its traceback in the log."""
    if isinstance(error, DomainError | OSError):
        text = str(error)
    else:
        logger.error("a task failed", exc_info=error)
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _begin() -> None:
    """Leave signals to the parent, and end when it does, however it ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: Any) -> None:  # noqa: ANN401 - the system's own kind of handle
    wait([sentinel])
    os._exit(1)
