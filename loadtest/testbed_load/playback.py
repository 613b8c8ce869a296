"""Plays one plan: who sends what when, and what becomes of it. Shared by all users of a process.

Locust turns the threads of the standard library into greenlets before this is imported.
"""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Final

from testbed_load.exchange import BundledExchange, TemplateExchange
from testbed_load.labels import DelayedLabels
from testbed_load.schedule import Idle, Schedule
from testbed_load.shards import Shard
from testbed_load.tally import Tally
from testbed_load.traceids import RequestContext, request_context
from testbed_load.traffic import TrafficSource, plan_rows
from testbed_load.truth import RequestRecord, TruthSink

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from testbed_domain.artefact import LabelledRow
    from testbed_domain.features import Label, Row

    from testbed_load.exchange import Exchange
    from testbed_load.plan import LoadPhase, LoadPlan
    from testbed_load.replies import Reply
    from testbed_load.schedule import Ticket

# Seconds past the last request's timeout after which the load is over whatever is still open.
_GRACE: Final = 1.0


def steady_clock() -> Callable[[], float]:
    """A clock of Unix seconds that no correction of the machine's time can set back."""
    offset = time.time() - time.perf_counter()
    return lambda: offset + time.perf_counter()


def freeze_memory() -> None:
    """Let the garbage collector look no more through what there is as a load begins, users too.

    It stays until the end, and each full look through it holds up what is due for 0.1 s and more:
    at 500 requests a second the 99th percentile of lateness was 20 to 78 ms with it, 5 without.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Job:
    """One request that a user has to send: its place in the plan, its row and its truth."""

    ticket: Ticket
    phase: LoadPhase
    request_id: str
    due: float
    features: Row
    label: Label
    body: str | None
    context: RequestContext | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of this request alone."""
        found = {"X-Request-ID": self.request_id}
        return found if self.context is None else found | {"traceparent": self.context.traceparent}


class Playback:
    """One plan being played.

    Args:
        plan: what to send.
        source: where rows come from.
        truth: keeps what happened.
        clock: Unix seconds.
        shard: which of the plan's requests are sent from here.

    Raises:
        LoadError: the plan's drift can't be used with the source.
    """

    def __init__(
        self,
        plan: LoadPlan,
        source: TrafficSource,
        truth: TruthSink,
        clock: Callable[[], float],
        shard: Shard | None = None,
    ) -> None:
        self.plan = plan
        self.clock = clock
        self.tally = Tally()
        self.labels = DelayedLabels(plan.labels, plan.seed)
        self.truth = truth
        self._rows = plan_rows(plan, source)
        self._drawn = [0] * len(plan.phases)
        self._drifting = tuple(phase.drifting(plan.seed) for phase in plan.phases)
        self.exchange: Exchange = (
            BundledExchange(source.requests)
            if plan.service is None
            else TemplateExchange(plan.service, source.schema, os.environ)
        )
        self._schedule = Schedule(plan, shard)
        self._start = 0.0
        self._users = 0
        self._begun = Event()
        self._stopping = Event()
        self._over = Event()
        self._idle = Event()

    @property
    def elapsed(self) -> float:
        """Seconds since the first phase began; 0 before."""
        return self.clock() - self._start if self._begun.is_set() else 0.0

    @property
    def missed(self) -> int:
        """Planned requests of ended phases that were never sent."""
        return self._schedule.missed

    def begin(self, start: float | None = None) -> None:
        """Begin the first phase, once all users wait; now, or at a Unix time."""
        if not self._begun.is_set():
            self._start = self.clock() if start is None else start
            self.truth.started(self._start)
            self._begun.set()

    def stop(self) -> None:
        """End the load early: nothing more is sent."""
        self._stopping.set()
        self._over.set()

    @property
    def begun(self) -> bool:
        """Whether it is known when the first phase begins."""
        return self._begun.is_set()

    @property
    def over(self) -> bool:
        """Whether the load is over."""
        return self._over.is_set()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._stopping.is_set()

    def finish(self) -> None:
        """Write the end of the truth; nothing may be recorded after it."""
        self.truth.ended(self.clock(), missed=self.missed)

    def wait_over(self, seconds: float) -> bool:
        """Wait until the load is over and no user is busy, at most ``seconds``."""
        if self._over.wait(seconds):
            return True
        last = self.plan.phases[-1]
        limit = self.plan.duration + self.plan.timeout + _GRACE
        return self._begun.is_set() and last.requests is None and self.elapsed > limit

    def wait_idle(self, seconds: float) -> None:
        """Wait until the last user has ended, at most ``seconds``."""
        self._idle.wait(seconds)

    @property
    def users(self) -> int:
        """Size of the pool of users."""
        return self.plan.users

    def join(self) -> None:
        """A user begins."""
        self._users += 1

    def leave(self) -> None:
        """A user ends; the last one ends the load."""
        self._users -= 1
        if self._users == 0 and self._begun.is_set():
            self._over.set()
            self._idle.set()

    def claim(self, user: Hashable = 0) -> Job | None:
        """The next request for the asking user, which waits until it is due; None at the end.

        Waits for the beginning, for the end of a phase that has users enough, and at the end for
        the last phase to be over.
        """
        self._begun.wait()
        ticket = self._ticket(user)
        if ticket is None:
            if self.plan.phases[-1].requests is None:
                self._stopping.wait(max(0.0, self.plan.duration - self.elapsed))
            return None
        features, label = self._row(ticket)
        request_id = f"{self.plan.run_id}-{ticket.seq}"
        return Job(
            ticket,
            self.plan.phases[ticket.phase],
            request_id,
            self._start + ticket.due,
            features,
            label,
            self.exchange.body(features, request_id),
            self._context(ticket.seq),
        )

    def _row(self, ticket: Ticket) -> LabelledRow:
        """The row of a request; those of requests before it that are sent elsewhere are skipped."""
        skipped = ticket.index - self._drawn[ticket.phase]
        self._drawn[ticket.phase] = ticket.index + 1
        return next(islice(self._rows[ticket.phase], skipped, None))

    def _ticket(self, user: Hashable) -> Ticket | None:
        while not self._stopping.is_set():
            found = self._schedule.claim(self.elapsed, user)
            if not isinstance(found, Idle):
                return found
            self._stopping.wait(max(0.0, found.until - self.elapsed))
        return None

    def _context(self, seq: int) -> RequestContext | None:
        plan = self.plan
        if plan.trace_ratio is None:
            return None
        return request_context(plan.run_id, plan.seed, seq, plan.trace_ratio)

    def record(self, job: Job, sent_at: float, reply: Reply, free_at: float | None = None) -> None:
        """Keep the end of a request, now.

        Args:
            job: the request.
            sent_at: when it was sent.
            reply: what came of it.
            free_at: when its user could send it; None where that was from the beginning on.
        """
        now = self.clock()
        drifts = self._drifting[job.ticket.phase](job.ticket.index)
        drift = job.phase.drift if drifts else None
        record = RequestRecord(
            seq=job.ticket.seq,
            request_id=job.request_id,
            phase=job.phase.name,
            scheduled_at=job.due,
            sent_at=sent_at,
            finished_at=now,
            drift=drift.name if drift else None,
            severity=drift.severity if drift else 0.0,
            features=job.features,
            label=job.label,
            status=reply.status,
            error=reply.error,
            prediction_id=reply.prediction_id,
            prediction=reply.prediction,
            probability=reply.probability,
            trace_id=None if job.context is None else job.context.trace_id,
            sampled=job.context is not None and job.context.sampled,
            free_at=free_at,
        )
        self.truth.request(record)
        self.tally.add(record, reply.reason, reply.problem)
        # A service of others need not take any: those of the log come from the truth.
        service = self.plan.service
        takes = service is None or service.labels is not None
        if reply.prediction_id is not None and takes:
            self.labels.add(job.ticket.seq, reply.prediction_id, job.label, now)
