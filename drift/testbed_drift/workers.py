"""Worker processes that stay: they import once, keep what they learnt, and fail alone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# A process may be killed from outside; a task whose process ends again is what ends it.
ATTEMPTS: Final = 2
# Within which a process starts; its first task's time begins then, or when it has started.
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Broken:
    """What a task gave that failed: one line that says why."""

    message: str


class _Worker:
    """One process, which does its tasks in their order."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads of telemetry must not fork
        self.hung: Future[Any] | None = None
        self._executor = ProcessPoolExecutor(1, context, initializer=_begin)
        self._pending: list[Future[Any]] = []
        self._turn = time.monotonic() + START_SECONDS
        before = multiprocessing.active_children()
        self._executor.submit(os.getpid).add_done_callback(self._begins)  # starts the process
        self._processes = [one for one in multiprocessing.active_children() if one not in before]

    def submit(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Begin a task, or let it wait for those before."""
        future = self._executor.submit(work, task)
        idle = not self._pending
        self._pending.append(future)
        if idle:
            self._turn = max(self._turn, time.monotonic())
        future.add_done_callback(self._over)
        return future

    def result(self, future: Future[Result], timeout: float | None) -> Result:
        """Wait for a task; whichever takes longer than ``timeout`` seconds ends the process."""
        while True:
            try:
                return future.result(self._left(timeout))
            except TimeoutError:
                if future.done():  # the task's own
                    raise
                running = self._pending[:1]  # read before its turn: the next one is not to blame
                if running and self._turn + (timeout or 0.0) <= time.monotonic():
                    self._kill(running[0])

    def close(self) -> None:
        """End the process, after the task that it has begun."""
        self._executor.shutdown(cancel_futures=True)

    def _left(self, timeout: float | None) -> float | None:
        """Seconds to wait before the next look; the turn may begin earlier than it seems now."""
        if timeout is None or self.hung:
            return None
        return min(max(self._turn + timeout - time.monotonic(), 0.0), timeout)

    def _over(self, future: Future[Any]) -> None:
        self._begins(future)
        self._pending.remove(future)

    def _begins(self, _before: Future[Any]) -> None:
        self._turn = time.monotonic()  # the next task's

    def _kill(self, running: Future[Any]) -> None:
        self.hung = running
        for process in self._processes:
            process.kill()


class Workers:
    """Runs tasks in at most ``count`` processes, each task by its key always in the same one.

    They start with the first task. A task that fails, ends its process or takes too long leaves
    the others alone. Close it, or use it in ``with``.

    Args:
        count: most processes.
        timeout: seconds that a task may take; then its process is ended, and a new one does what
            waited behind the task. None waits for ever.
    """

    def __init__(self, count: int, timeout: float | None = None) -> None:
        self._slots: list[_Worker | None] = [None] * count
        self._places: dict[str, int] = {}
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, after the task that each has begun."""
        for worker in filter(None, self._slots):
            self._drop(worker)

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
    ) -> dict[str, tuple[_Worker, Future[Result]]]:
        return {key: self._begun(key, work, task) for key, task in tasks.items()}

    def _begun(
        self, key: str, work: Callable[[Task], Result], task: Task
    ) -> tuple[_Worker, Future[Result]]:
        worker = self._worker(key)
        try:
            return worker, worker.submit(work, task)
        except BrokenProcessPool:  # its process ended since the last task
            self._drop(worker)
            worker = self._worker(key)
            return worker, worker.submit(work, task)

    def _worker(self, key: str) -> _Worker:
        place = self._places.setdefault(key, len(self._places) % len(self._slots))
        worker = self._slots[place] = self._slots[place] or _Worker()
        return worker

    def _gather(
        self,
        waiting: Mapping[str, tuple[_Worker, Future[Result]]],
        found: dict[str, Result | Broken],
    ) -> list[str]:
        """Take what is done; the tasks that were running when their process ended by itself."""
        ended: dict[_Worker, str | None] = {}
        for key, (worker, future) in waiting.items():
            try:
                found[key] = worker.result(future, self._timeout)
            except BrokenProcessPool:
                if worker.hung is None:
                    ended.setdefault(worker, key)  # a process does its tasks in their order
                    continue
                ended[worker] = None  # what waited behind the one that hung is done again
                if worker.hung is future:
                    found[key] = Broken(
                        f"it took longer than {self._timeout:g} s (TESTBED_DRIFT_TASK_TIMEOUT), "
                        "so its worker process was ended"
                    )
            except CancelledError:  # its process ended before this one's turn: done again
                continue
            except Exception as error:  # noqa: BLE001 - the other tasks go on
                found[key] = Broken(failure(error))
        for worker in ended:
            self._drop(worker)
        return [key for key in ended.values() if key is not None]

    def _drop(self, worker: _Worker) -> None:
        worker.close()
        self._slots = [None if one is worker else one for one in self._slots]


def failure(error: Exception) -> str:
    """One line about what failed; what is not a user's error keeps its traceback in the log."""
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
