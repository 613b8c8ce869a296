"""Dynamic micro-batching: requests that wait for the model together are answered together.

One batch runs at a time, in a thread of its own, so that the event loop stays free. While it runs,
the next one gathers; so batches grow with the load, and a request that is alone is handed over at
once. The one case that gathering alone serves badly is a group of clients that all were answered a
moment ago and all come back: the first to come would run alone and all others behind it. So after
a batch the next one is held back, for a share of what a batch costs, while requests keep
coming and as many as lately have not come yet. The policy is pure; the clock is the caller's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Reason = Literal["alone", "size", "time", "deadline"]
"""Why a batch was dispatched; the values of ``reason`` in ``ml.batch.dispatches``."""

# Share of a batch's cost that requests may be held back in the hope of a fuller one.
LINGER_SHARE: Final = 0.5
# Seconds without an arrival after which nobody else is coming; the event loop's timers tick in
# milliseconds. Models whose batches cost less than two of these are never held back.
QUIET: Final = 0.001
SMOOTHING: Final = 0.2


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of batching.

    Attributes:
        rows: most rows in one batch.
        wait: most seconds that a batch is held back while the model is idle.
        queue: most rows that wait; what comes on top is shed.
    """

    rows: int = 256
    wait: float = 0.01
    queue: int = 2_048


@dataclass(frozen=True, slots=True)
class Decision:
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
    ) -> Decision:
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
            return Decision("size")
        if rows >= self.expected:
            return Decision("alone" if rows == 1 else "size")
        linger = min(limits.wait, self.cost * LINGER_SHARE)
        if linger < QUIET:
            return Decision("time")
        end = min(max(oldest, self._free_since) + linger, max(newest, self._free_since) + QUIET)
        latest = deadline - self.cost
        if latest < end and now >= latest:
            return Decision("deadline")
        end = min(end, latest)
        return Decision("time") if now >= end else Decision(None, end - now)

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
    """Is told of batches."""

    def dispatched(self, reason: Reason, rows: int, waits: Sequence[float]) -> None:
        """A batch was handed to the model; ``waits`` are the seconds in the queue of each part."""


@dataclass(slots=True, eq=False)
class _Part:
    """What one caller wants predicted."""

    rows: np.ndarray
    arrived: float
    deadline: float
    answer: asyncio.Future[np.ndarray] = field(repr=False)
    queued: bool = True


class MicroBatcher:
    """Collects rows of many callers for one model. Belongs to the event loop that awaits it.

    Args:
        predict: the model; called in one thread, one call at a time.
        policy: when to dispatch.
        observer: is told of batches.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        policy: BatchPolicy,
        observer: BatchObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predict = predict
        self._policy = policy
        self._observer = observer
        self._clock = clock
        self._parts: deque[_Part] = deque()
        self._rows = 0
        self._running_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
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
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> np.ndarray:
        """Probabilities ``[n, classes]`` of encoded rows ``[n, features]``.

        Args:
            rows: at most as many as a batch may have.
            deadline: when the answer is due, by this object's clock.
            gone: returns when the client leaves; a request that is still in the queue then is
                taken out of it.

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
        part = _Part(rows, now, deadline, asyncio.get_running_loop().create_future())
        self._parts.append(part)
        self._rows += len(rows)
        self._look()
        watch = None
        if gone is not None and part.queued:
            watch = asyncio.ensure_future(gone())
            watch.add_done_callback(lambda _: self._abandon(part))
        left = None if math.isinf(deadline) else deadline - self._clock()
        try:
            async with asyncio.timeout(left) as limit:
                return await part.answer
        except TimeoutError:
            if not limit.expired():
                raise  # the model's own
            raise DeadlineError(self._policy.cost) from None
        finally:
            if watch is not None:
                watch.cancel()
            self._forget(part)

    async def close(self) -> None:
        """Answer what is in the queue, then end the thread."""
        await self._idle.wait()
        self._thread.shutdown()

    def _admit(self, now: float, rows: int, deadline: float) -> None:
        policy = self._policy
        if self._rows + rows > policy.limits.queue:
            raise QueueFullError(policy.cost * math.ceil(self._rows / policy.limits.rows))
        late = policy.late(now, deadline, self._rows, self._running_since)
        if late > 0:
            raise DeadlineError(late)

    def _abandon(self, part: _Part) -> None:
        if part.queued and not part.answer.done():
            part.answer.set_exception(ClientGoneError())

    def _forget(self, part: _Part) -> None:
        """Take a part that nobody waits for any more out of the queue."""
        if part.queued:
            part.queued = False
            self._parts.remove(part)
            self._rows -= len(part.rows)
            self._settle()

    def _settle(self) -> None:
        if not self._parts and self._running_since is None:
            self._idle.set()

    def _look(self) -> None:
        """Dispatch, or look again later; nothing while a batch runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running_since is not None or not self._parts:
            self._settle()
            return
        self._idle.clear()
        decision = self._policy.decide(
            self._clock(),
            self._rows,
            self._parts[0].arrived,
            self._parts[-1].arrived,
            min(part.deadline for part in self._parts),
        )
        if decision.reason is not None:
            self._dispatch(decision.reason)
        else:
            self._timer = asyncio.get_running_loop().call_later(decision.wait, self._look)

    def _dispatch(self, reason: Reason) -> None:
        batch: list[_Part] = []
        rows = 0
        now = self._clock()
        while self._parts and rows + len(self._parts[0].rows) <= self._policy.limits.rows:
            part = self._parts.popleft()
            part.queued = False
            self._rows -= len(part.rows)
            if not part.answer.done():
                batch.append(part)
                rows += len(part.rows)
        if not batch:
            self._look()
            return
        self._running_since = now
        self._observer.dispatched(reason, rows, [now - part.arrived for part in batch])
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, self._answer, [part.rows for part in batch]
        )
        work.add_done_callback(lambda done: self._finish(batch, rows, done))

    def _answer(self, parts: list[np.ndarray]) -> list[np.ndarray | Exception]:
        """One answer or error per part; in the model's thread."""
        try:
            rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
            answer = self._predict(rows)
            if len(answer) != len(rows):
                raise ValueError(f"the model gave {len(answer)} answers to {len(rows)} rows")  # noqa: TRY301 - is handled as the model's own errors are
        except Exception as error:  # noqa: BLE001 - the model may raise anything; callers get it
            # One part that the model can't take must not spoil the others.
            return [error] if len(parts) == 1 else [self._answer([part])[0] for part in parts]
        return list(np.split(answer, np.cumsum([len(part) for part in parts])[:-1]))

    def _finish(
        self, batch: list[_Part], rows: int, done: asyncio.Future[list[np.ndarray | Exception]]
    ) -> None:
        now = self._clock()
        seconds = now - (self._running_since or now)
        self._running_since = None
        self._policy.finished(now, rows, seconds, self._rows)
        for part, answer in zip(batch, done.result(), strict=True):
            if part.answer.done():
                continue
            if isinstance(answer, Exception):
                part.answer.set_exception(answer)
            else:
                part.answer.set_result(answer)
        self._look()


def measure(predict: Callable[[np.ndarray], Any], row: np.ndarray, rounds: int = 9) -> float:
    """Median seconds of one call of a warm model; blocks."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    return sorted(times)[rounds // 2]
