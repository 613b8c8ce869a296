"""Dynamic micro-batching: requests that wait for the model together are answered together.

One batch runs at a time, in a thread of its own, so that the event loop stays free. While it runs,
the next one gathers; so batches grow with the load, and a request that is alone is handed over at
once. The one case that gathering alone serves badly is a group of clients that all were answered a
moment ago and all come back: the first to come would run alone and all others behind it. So after
a batch the next one is held back, for as long as a batch takes, while requests keep coming and as
many as lately have not come yet. The policy is pure; the clock is the caller's.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar

import numpy as np

from testbed_api.lazytimers import Deadlines, LazyTimer
from testbed_api.options import BatchLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    Watch = Callable[[Callable[[], None]], Callable[[], object]]

Reason = Literal["alone", "turn", "size", "time", "deadline"]
"""Why a batch was dispatched; the values of ``reason`` in ``ml.batch.dispatches``."""

# Share of a batch's cost that requests may be held back in the hope of a fuller one. Who waits as
# long as what he may save costs, loses at most as much again, whatever the others do.
LINGER_RATIO: Final = 1.0
# Seconds without an arrival after which nobody else is coming; the event loop's timers tick in
# milliseconds. Models whose batches cost less are never held back.
QUIET: Final = 0.001
SMOOTHING: Final = 0.2


@dataclass(frozen=True, slots=True)
class BatchingDecision:
    """What to do with the queue now: dispatch for a reason, or look again after ``wait`` s."""

    reason: Reason | None
    wait: float = 0.0


class BatchPolicy:
    """When to dispatch; learns from every batch. All times are seconds of one monotonic clock.

    Args:
        limits: bounds that it never leaves.
        cost: seconds that a batch takes, as measured when the model was warmed up.
    """

    def __init__(self, limits: BatchLimits, cost: float) -> None:
        self.limits = limits
        self.cost = cost
        self.expected = 1
        self._free_since = -math.inf

    def decide(
        self, now: float, rows: int, oldest: float, newest: float, deadline: float
    ) -> BatchingDecision:
        """Whether to dispatch, with the model idle.

        Args:
            now: the time.
            rows: rows in the queue, at least one.
            oldest: arrival of the first in the queue.
            newest: arrival of the last in the queue.
            deadline: the earliest deadline in the queue; infinity where there is none.
        """
        limits = self.limits
        if oldest - self._free_since > limits.wait:
            self.expected = 1  # what was before the pause says nothing any more
        if rows >= limits.rows:
            return BatchingDecision("size")
        if rows >= self.expected:
            return BatchingDecision("alone" if rows == 1 else "size")
        linger = min(limits.wait, self.cost * LINGER_RATIO)
        if linger < QUIET:
            return BatchingDecision("time")
        end = min(max(oldest, self._free_since) + linger, max(newest, self._free_since) + QUIET)
        latest = deadline - self.cost
        if latest < end and now >= latest:
            return BatchingDecision("deadline")
        end = min(end, latest)
        return BatchingDecision("time") if now >= end else BatchingDecision(None, end - now)

    def finished(self, now: float, rows: int, seconds: float, waiting: int) -> None:
        """Learn from a batch of ``rows`` that took ``seconds`` while ``waiting`` rows gathered."""
        self._free_since = now
        self.cost += SMOOTHING * (seconds - self.cost)
        self.expected = min(rows + waiting, self.limits.rows)

    def late(self, now: float, deadline: float, ahead: int, running_since: float | None) -> float:
        """Seconds by which a request that came now would miss its deadline; 0 or less is in time.

        Args:
            now: the time.
            deadline: when its answer is due.
            ahead: rows that wait before it.
            running_since: start of the batch that runs, or None.
        """
        running = 0.0 if running_since is None else max(0.0, self.cost - (now - running_since))
        batches = ahead // self.limits.rows + 1
        return now + running + batches * self.cost - deadline


class Answers(Protocol):
    """What a model answers to rows: one item for each, and a slice for some of them."""

    def __len__(self) -> int:
        """Number of rows."""

    def __getitem__(self, part: slice, /) -> Any:  # noqa: ANN401 - of the same type as the whole
        """Answers to some of the rows."""


A = TypeVar("A", bound=Answers)
R = TypeVar("R", bound="Sized")


class QueueFullError(Exception):
    """The queue is full; ``retry_after`` seconds later there may be room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many predictions wait for the model")
        self.retry_after = retry_after


class DeadlineError(Exception):
    """The answer can't come, or did not come, in time."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the prediction can't be made in time")
        self.retry_after = retry_after


class ClientGoneError(Exception):
    """The client left while its request was in the queue."""


class BatchObserver(Protocol):
    """Is reported of batches."""

    def dispatched(self, reason: Reason, rows: int, waits: Sequence[float]) -> None:
        """A batch was handed to the model; ``waits`` are the seconds in the queue of each part."""


@dataclass(slots=True, eq=False)
class _Part(Generic[A]):
    """What one caller wants predicted."""

    rows: np.ndarray
    arrived: float
    deadline: float
    answer: asyncio.Future[A] = field(repr=False)
    queued: bool = True


class MicroBatcher(Generic[A]):
    """Collects rows of many callers for one model. Belongs to the event loop that awaits it.

    Args:
        predict: the model; called in one thread, one call at a time.
        policy: when to dispatch.
        observer: is notified of batches.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], A],
        policy: BatchPolicy,
        observer: BatchObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predict = predict
        self._policy = policy
        self._observer = observer
        self._clock = clock
        self._parts: deque[_Part[A]] = deque()
        self._rows = 0
        self._earliest = math.inf  # deadline in the queue
        self._running_since: float | None = None
        self._later = LazyTimer(self._look, clock)
        self._deadlines = Deadlines(lambda: DeadlineError(policy.cost), clock)
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return self._rows

    async def predict(
        self,
        rows: np.ndarray,
        deadline: float = math.inf,
        gone: Watch | None = None,
    ) -> A:
        """The model's answers to encoded rows ``[n, features]``.

        Args:
            rows: at most as many as a batch may have.
            deadline: when the answer is due, by this object's clock.
            gone: takes what to call when the client leaves, and returns what ends that; a request
                that is still in the queue then is taken out of it.

        Raises:
            QueueFullError: shed.
            DeadlineError: it would be late, or is.
            ClientGoneError: the client left first.
            Exception: whatever the model raised.
        """
        now = self._clock()
        if len(rows) > self._policy.limits.rows:
            raise ValueError(f"a batch holds up to {self._policy.limits.rows} rows")
        self._admit(now, len(rows), deadline)
        part = _Part[A](rows, now, deadline, asyncio.get_running_loop().create_future())
        self._parts.append(part)
        self._rows += len(rows)
        self._earliest = min(self._earliest, deadline)
        self._look()
        forget_client = None
        if gone is not None and part.queued:
            forget_client = gone(lambda: self._abandon(part))
        self._deadlines.add(part.answer, deadline)
        try:
            return await part.answer
        finally:
            self._deadlines.remove(part.answer)
            if forget_client is not None:
                forget_client()
            self._forget(part)

    async def close(self) -> None:
        """Answer what is in the queue, then end the thread."""
        await self._idle.wait()
        self._later.close()
        self._deadlines.close()
        self._thread.shutdown()

    def _admit(self, now: float, rows: int, deadline: float) -> None:
        policy = self._policy
        if self._rows + rows > policy.limits.queue:
            raise QueueFullError(policy.cost * math.ceil(self._rows / policy.limits.rows))
        late = policy.late(now, deadline, self._rows, self._running_since)
        if late > 0:
            raise DeadlineError(late)

    def _abandon(self, part: _Part[A]) -> None:
        if part.queued and not part.answer.done():
            part.answer.set_exception(ClientGoneError())

    def _forget(self, part: _Part[A]) -> None:
        """Take a part that nobody waits for any more out of the queue."""
        if part.queued:
            part.queued = False
            self._parts.remove(part)
            self._rows -= len(part.rows)
            self._find_earliest()
            self._settle()

    def _find_earliest(self) -> None:
        self._earliest = min((part.deadline for part in self._parts), default=math.inf)

    def _settle(self) -> None:
        if not self._parts and self._running_since is None:
            self._idle.set()

    def _look(self) -> None:
        """Dispatch, or look again later; nothing while a batch runs."""
        if self._running_since is not None or not self._parts:
            self._settle()
            return
        self._idle.clear()
        now = self._clock()
        decision = self._policy.decide(
            now, self._rows, self._parts[0].arrived, self._parts[-1].arrived, self._earliest
        )
        if decision.reason is not None:
            self._later.stop()
            self._dispatch(decision.reason)
        else:
            self._later.set(now + decision.wait)

    def _dispatch(self, reason: Reason) -> None:
        batch: list[_Part[A]] = []
        rows = 0
        now = self._clock()
        while self._parts and rows + len(self._parts[0].rows) <= self._policy.limits.rows:
            part = self._parts.popleft()
            part.queued = False
            self._rows -= len(part.rows)
            if not part.answer.done():
                batch.append(part)
                rows += len(part.rows)
        self._find_earliest()
        if not batch:
            self._look()
            return
        self._running_since = now
        self._observer.dispatched(reason, rows, [now - part.arrived for part in batch])
        # Without a future of the event loop: it takes two more turns and as many objects.
        self._thread.submit(self._work, batch, asyncio.get_running_loop())

    def _work(self, batch: list[_Part[A]], loop: asyncio.AbstractEventLoop) -> None:
        """Predict; in the model's thread."""
        answers = answer_parts(self._predict, [part.rows for part in batch], np.concatenate)
        loop.call_soon_threadsafe(self._finish, batch, answers)

    def _finish(self, batch: list[_Part[A]], answers: list[A | Exception]) -> None:
        since, now = self._running_since, self._clock()
        for part, answer in zip(batch, answers, strict=True):
            if part.answer.done():
                continue
            if isinstance(answer, Exception):
                part.answer.set_exception(answer)
            else:
                part.answer.set_result(answer)
        rows = sum(len(part.rows) for part in batch)
        seconds = now - (now if since is None else since)
        # The callers have their turn first. To answer a full batch takes longer than the pause by
        # which arrivals are found to have ended, and nobody can arrive meanwhile.
        asyncio.get_running_loop().call_soon(self._free, rows, seconds)

    def _free(self, rows: int, seconds: float) -> None:
        """The model is idle again."""
        self._running_since = None
        self._policy.finished(self._clock(), rows, seconds, self._rows)
        self._look()


def answer_parts(
    predict: Callable[[R], A], parts: list[R], join: Callable[[list[R]], R]
) -> list[A | Exception]:
    """One answer or error per part, from one call of the model where it takes all of them.

    Args:
        predict: answers rows, one for each, in their order.
        parts: rows of each caller.
        join: makes rows of several callers one.
    """
    try:
        rows = parts[0] if len(parts) == 1 else join(parts)
        answer = predict(rows)
        if len(answer) != len(rows):
            raise ValueError(f"the model gave {len(answer)} answers to {len(rows)} rows")  # noqa: TRY301 - is handled as the model's own errors are
    except Exception as error:  # noqa: BLE001 - the model may raise anything; callers get it
        # One part that the model can't take must not spoil the others.
        if len(parts) == 1:
            return [error]
        return [answer_parts(predict, [part], join)[0] for part in parts]
    ends = itertools.accumulate(map(len, parts), initial=0)
    return [answer[start:end] for start, end in itertools.pairwise(ends)]


def measure(predict: Callable[[np.ndarray], Any], row: np.ndarray, rounds: int = 9) -> float:
    """Median seconds of one call of a warm model; blocks."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    return sorted(times)[rounds // 2]
