"""Group commit: many requests wait for few transactions of the prediction log.

One thread owns the log. It gets one group of requests at a time, writes it in one transaction, and
only then are they answered. While it writes, the next group gathers in the event loop, so the
groups grow with the load and nobody waits for a timer: a group goes to the thread once, when the
loop has looked at all that came at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from testbed_domain.logengine import LogReplacedError
from testbed_otel.names import OUTCOME

from testbed_api.errors import ApiError
from testbed_api.lazytimers import Deadlines
from testbed_api.log.sink import LogBusyError
from testbed_api.log.spooling import replaced_notice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.logstore import PredictionRow

    from testbed_api.log.labels import LabelOutcome
    from testbed_api.log.sink import Label, LogSink
    from testbed_api.telemetry.instruments import Instruments

logger = logging.getLogger(__name__)

Late = Callable[["list[LabelOutcome]"], object]
"""Is given the outcomes of labels, nothing for rows."""

QUEUE_LIMIT: Final = 5_000
GROUP_LIMIT: Final = 1_000
REOPEN_PAUSE: Final = 1.0
# How often a log that nobody writes to is looked at.
CHECK_PAUSE: Final = 0.5
RETRY_AFTER: Final = 1
# How long the end waits for a log that doesn't answer. What is in it then nobody was answered for.
CLOSE_SECONDS: Final = 2.0
# How long after its deadline a request waits for a commit that is under way. One takes
# milliseconds: a 503 for a row that is in the log a moment later would be sent again.
COMMIT_SECONDS: Final = 1.0


class NoLog:
    """The writer of an API that keeps no log; its methods are those of :class:`LogWriter`."""

    problem: None = None
    warning: None = None

    async def append(
        self, rows: Sequence[PredictionRow], due: float = math.inf, late: Late | None = None
    ) -> None:
        """Drop the rows."""

    async def append_labels(
        self, items: list[Label], due: float = math.inf, late: Late | None = None
    ) -> list[LabelOutcome]:
        """Refuse: without predictions there is nothing to label."""
        del items, due, late
        raise ApiError(404, "log", "this API has no prediction log (TESTBED_API_LOG_URL=none)")


class _Job(NamedTuple):
    """What one request waits for: rows or labels."""

    future: asyncio.Future[list[LabelOutcome]]
    rows: Sequence[PredictionRow] = ()
    labels: Sequence[Label] = ()
    late: Late | None = None

    @property
    def size(self) -> int:
        """What it adds to the queue and to a group."""
        return len(self.rows) or 1


_Answer = tuple[list[_Job], "list[LabelOutcome] | None"]


class LogWriter:
    """The writer over a prediction log. Made in the event loop that awaits it.

    Args:
        open_log: opens the log; called in the writer's thread, again after every failure.
        instruments: count rows and time commits.
        warn: what is wrong with the log though it takes rows, or None.

    Attributes:
        problem: why nothing can be written now, or None.
    """

    def __init__(
        self,
        open_log: Callable[[], LogSink],
        instruments: Instruments,
        warn: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.problem: str | None = "the prediction log is not open yet"
        self._open_log = open_log
        self._instruments = instruments
        self._warn = warn
        self._replaced: str | None = None
        self._loop = asyncio.get_running_loop()
        self._groups: SimpleQueue[list[_Job] | None] = SimpleQueue()
        # Touched in the event loop only.
        self._pending = 0
        self._gathered: list[_Job] = []
        self._handing_over = False  # a group is being written, or goes to the thread in a moment
        self._deadlines = Deadlines(_not_in_time)
        self._log: LogSink | None = None
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def warning(self) -> str | None:
        """What is wrong though predictions go on, or None."""
        return "; ".join(text for text in (self._warn(), self._replaced) if text) or None

    async def append(
        self, rows: Sequence[PredictionRow], due: float = math.inf, late: Late | None = None
    ) -> None:
        """Return when all the rows are durable.

        Args:
            rows: written together, or not at all.
            due: when to give up, by ``time.monotonic``; a second later where the commit is under
                way. Rows that wait then are never written.
            late: called where the rows are written though nobody waits any more: the commit was
                under way then.

        Raises:
            ApiError: 503, the rows aren't in the log, or not in time.
        """
        await self._submit(_Job(self._loop.create_future(), rows, late=late), due)

    async def append_labels(
        self, items: list[Label], due: float = math.inf, late: Late | None = None
    ) -> list[LabelOutcome]:
        """Store labels; one outcome per item. For ``due`` and ``late`` see :meth:`append`.

        Raises:
            ApiError: the labels aren't stored, or not in time.
        """
        return await self._submit(_Job(self._loop.create_future(), (), items, late), due)

    async def close(self) -> None:
        """Write what is queued, then close the log; give up where it doesn't answer."""
        self._groups.put(self._gathered)
        self._gathered = []
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        self._deadlines.close()
        if self._thread.is_alive():
            logger.error("the prediction log did not close in %g s: left as it is", CLOSE_SECONDS)

    async def _submit(self, job: _Job, due: float) -> list[LabelOutcome]:
        if self._pending >= QUEUE_LIMIT:
            raise ApiError(503, "log", "the prediction log is too slow; try again", RETRY_AFTER)
        self._pending += job.size
        self._gathered.append(job)
        if not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._hand_over)
        self._deadlines.add(job.future, due)
        try:
            return await job.future
        finally:
            self._deadlines.remove(job.future)

    def _hand_over(self) -> None:
        """Give the thread what has gathered, or let the next request begin anew."""
        group: list[_Job] = []
        size = taken = 0
        for job in self._gathered:
            if size >= GROUP_LIMIT:
                break
            taken += 1
            if job.future.done():  # too late, or its request is gone
                self._pending -= job.size
            else:
                self._deadlines.extend(job.future, COMMIT_SECONDS)
                group.append(job)
                size += job.size
        self._gathered = self._gathered[taken:]
        if group:
            self._groups.put(group)
        else:
            self._handing_over = False

    def _run(self) -> None:
        self._reopen()
        while True:
            try:
                pause = REOPEN_PAUSE if self._log is None else CHECK_PAUSE
                jobs = self._groups.get(timeout=pause)
            except Empty:
                self._look()
                continue
            if jobs is None:
                break
            self._write(jobs)
        if self._log is not None:
            self._log.close()

    def _write(self, jobs: list[_Job]) -> None:
        answers: list[_Answer] = []
        # Two commits, so that labels which fail don't take rows with them that are durable. Rows
        # first, so that a label never comes before its prediction.
        waited = [job for job in jobs if not job.future.done()]
        rows = [job for job in waited if job.rows]
        if rows:
            answers.append((rows, self._write_rows(rows)))
        labelled = [job for job in waited if not job.rows]
        if labelled:
            answers.append((labelled, self._write_labels(labelled)))
        if len(waited) < len(jobs):  # too late while the log was opened
            written = {id(job) for job in waited}
            answers.append(([job for job in jobs if id(job) not in written], None))
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._answer, answers)

    def _write_rows(self, jobs: list[_Job]) -> list[LabelOutcome] | None:
        """Write rows; None where they are not in the log."""
        rows = [row for job in jobs for row in job.rows]
        started = time.perf_counter()
        try:
            outcome = self._opened().append(rows) or "written"
        except Exception as error:  # noqa: BLE001 - whatever it is, the requests need an answer
            self._instruments.log_rows.add(len(rows), {OUTCOME: "failed"})
            self._fail(error)
            return None
        self._instruments.log_write.record(time.perf_counter() - started)
        if outcome != "spooled":  # counted when they are in the log
            self._instruments.log_rows.add(len(rows), {OUTCOME: outcome})
        self._succeed()
        return []

    def _write_labels(self, jobs: list[_Job]) -> list[LabelOutcome] | None:
        """Store labels; their outcomes, or None where they are not stored."""
        try:
            outcomes = self._opened().append_labels([item for job in jobs for item in job.labels])
        except LogBusyError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the requests need an answer
            self._fail(error)
            return None
        self._succeed()
        return outcomes

    def _opened(self) -> LogSink:
        if self._log is None:
            self._log = self._open_log()
        return self._log

    def _look(self) -> None:
        """Open a log that failed; see whether another one still is where it was."""
        if self._log is not None:
            try:
                self._log.check()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is opened anew
                self._fail(error)
            else:
                return
        self._reopen()

    def _reopen(self) -> None:
        try:
            self._opened()
        except Exception as error:  # noqa: BLE001 - the database's own; tried again until it works
            self._fail(error)
        else:
            self._succeed()

    def _succeed(self) -> None:
        if self.problem is not None and self._warn() is None:
            self._instruments.set_log_state("writing")
        self.problem = None

    def _fail(self, error: Exception) -> None:
        problem = f"the prediction log fails: {error}"
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem
        if isinstance(error, LogReplacedError):
            self._replaced = replaced_notice(error)
        self._instruments.set_log_state("failing")
        if self._log is not None:
            with contextlib.suppress(Exception):  # it has failed already
                self._log.close()
            self._log = None

    def _answer(self, answers: list[_Answer]) -> None:
        """Answer a group, and hand the next one over."""
        for jobs, outcomes in answers:
            self._resolve(jobs, outcomes)
        self._hand_over()

    def _resolve(self, jobs: list[_Job], outcomes: list[LabelOutcome] | None) -> None:
        """Answer the jobs with their outcomes, or with a failure where there are none."""
        start = 0
        for job in jobs:
            self._pending -= job.size
            end = start + len(job.labels)
            if job.future.done():
                if outcomes is not None and job.late is not None:
                    job.late(outcomes[start:end])
            elif outcomes is None:
                job.future.set_exception(
                    ApiError(503, "log", "the prediction log fails; try again", RETRY_AFTER)
                )
            else:
                job.future.set_result(outcomes[start:end])
            start = end


def _not_in_time() -> ApiError:
    return ApiError(503, "deadline", "the prediction log did not answer in time", RETRY_AFTER)


Writer: TypeAlias = LogWriter | NoLog
"""Where predictions and labels go."""
