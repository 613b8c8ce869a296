"""The master's side of a load that several processes send, on this machine or others.

Locust's master begins and ends it and writes the truth; its workers send, each the requests of its
shard, and report what became of them. All hosts need the same time, which the due times are of.
"""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from locust.runners import STATE_INIT

from testbed_load.errors import LoadError
from testbed_load.messages import BEGIN, ENDED, FAILED, PLAN, READY, SENT, STOP, digest
from testbed_load.plan import plan_text
from testbed_load.playback import Playback, steady_clock
from testbed_load.truth import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.rpc.protocol import Message
    from locust.runners import MasterRunner

    from testbed_load.plan import LoadPlan
    from testbed_load.traffic import TrafficSource
    from testbed_load.truth import TruthSink

LEAD: Final = 0.5
"""Seconds from the master's word to the first request: it must reach all workers before."""

LOOK: Final = 1.0
"""Seconds between two looks whether all workers are there."""

LOST: Final = 10.0
"""Seconds for which a worker is silent that stands still on a busy machine, and comes back."""

ENDING: Final = 30.0
"""Seconds beyond the requests' timeout that workers have to end when the load is stopped."""


class SharedPlayback(Playback):
    """A plan that workers play; what they send comes here.

    Args:
        plan: what is sent.
        source: where rows come from.
        truth: stores what happened.
        workers: how many there are.

    Raises:
        LoadError: the plan's drift can't be used with the source.
    """

    def __init__(
        self, plan: LoadPlan, source: TrafficSource, truth: TruthSink, workers: int
    ) -> None:
        super().__init__(plan, source, truth, steady_clock())
        self._workers = workers
        self._ended = 0
        self._missed = 0

    @property
    def users(self) -> int:
        """As many for each worker, so that all have what their shard needs."""
        return -(-super().users // self._workers) * self._workers

    @property
    def missed(self) -> int:
        """What the workers did not send."""
        return self._missed

    @property
    def complete(self) -> bool:
        """Whether all workers have reported all that they sent."""
        return self._ended == self._workers

    def wait_over(self, seconds: float) -> bool:
        """Wait until all workers have ended, at most ``seconds``."""
        return self._over.wait(seconds)

    def stop(self) -> None:
        """Wait for the workers, which are to end early, so long as their requests may take."""
        if not self._stopping.is_set():
            self._stopping.set()
            Thread(target=self._give_up, daemon=True).start()

    def _give_up(self) -> None:
        self._over.wait(self.plan.timeout + ENDING if self._begun.is_set() else 0.0)
        self._over.set()

    def fail(self) -> None:
        """End at once."""
        self._stopping.set()
        self._over.set()

    def receive(
        self, records: list[RequestRecord], labels: list[tuple[float, int | None, list[int]]]
    ) -> None:
        """Store what a worker reports: requests, and labels with time, status and requests."""
        for record in records:
            self.truth.request(record)
            self.tally.add(record)
        for sent_at, status, seqs in labels:
            self.truth.labels(sent_at, status, seqs)

    def worker_ended(self, missed: int) -> None:
        """A worker has reported all; the last one ends the load."""
        self._missed += missed
        self._ended += 1
        if self.complete:
            self._over.set()


class Master:
    """The master's side of a shared load.

    Args:
        runner: of Locust.
        workers: how many are to come.
        failed: is told why the load can't go on.
        web: whether the web UI says what is played, one load after the other; the workers have
            the plan otherwise.
    """

    def __init__(
        self,
        runner: MasterRunner,
        workers: int,
        failed: Callable[[str], None],
        *,
        web: bool = False,
    ) -> None:
        self._runner = runner
        self._workers = workers
        self._failed = failed
        self._web = web
        self._playback: SharedPlayback | None = None
        self._lost = False
        self._ready = 0
        self._all_ready = Event()
        runner.register_message(READY, self._on_ready)
        runner.register_message(SENT, self._on_sent)
        runner.register_message(ENDED, self._on_ended)
        runner.register_message(FAILED, self._on_failed)

    @property
    def waits(self) -> bool:
        """Whether nothing has begun, since some of the workers are not there."""
        return self._runner.state == STATE_INIT and self._runner.worker_count < self._workers

    def require_workers(self) -> None:
        """Behind the web UI, a load begins with all of them, who come back seconds after one ended.

        Raises:
            LoadError: some are not.
        """
        if self._web and (there := self._runner.worker_count) < self._workers:
            raise LoadError(f"{there} of {self._workers} workers are there: try again soon")

    def prepare(self, plan: LoadPlan, source: TrafficSource, truth: TruthSink) -> Playback:
        """What the workers are to play.

        Raises:
            LoadError: the plan's drift can't be used with the source.
        """
        self._ready, self._lost = 0, False
        self._all_ready.clear()
        self._playback = SharedPlayback(plan, source, truth, self._workers)
        if self._web:
            self._runner.send_message(PLAN, {"plan": plan_text(plan)})
        return self._playback

    def begin(self) -> None:
        """Begin on all workers at the same time, as soon as all are ready."""
        if self._playback is None:
            return
        while not self._all_ready.wait(LOOK):
            if self._playback.over:
                return
        start = self._playback.clock() + LEAD
        self._playback.begin(start)
        self._runner.send_message(BEGIN, {"start": start, "plan": digest(self._playback.plan)})
        Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """End early: workers send nothing more, and report."""
        if self._playback is not None and not self._playback.over:
            self._runner.send_message(STOP)
            self._playback.stop()

    def check(self) -> None:
        """Whether all that was sent is in the truth; called once, at the end."""
        playback = self._playback
        if playback is not None and playback.begun and self._web:
            playback.wait_over(playback.plan.timeout + ENDING)  # the web UI does not
        if playback is not None and playback.begun and not (playback.complete or self._lost):
            self._fail("a worker did not report its end, so its truth is not complete")

    def _watch(self) -> None:
        """A worker that is lost takes its part of the load with it."""
        absent = 0.0
        while self._playback is not None and not self._playback.wait_over(LOOK):
            there = self._runner.worker_count
            absent = absent + LOOK if there < self._workers else 0.0
            if absent >= LOST:
                self._fail(f"{there} of {self._workers} workers are left, so it is not complete")
                return

    def _on_ready(self, **_: object) -> None:
        self._ready += 1
        if self._ready == self._workers:
            self._all_ready.set()

    def _on_sent(self, msg: Message, **_: object) -> None:
        if self._playback is not None:
            records = [RequestRecord(**each) for each in msg.data["requests"]]
            self._playback.receive(records, msg.data["labels"])

    def _on_ended(self, msg: Message, **_: object) -> None:
        if self._playback is not None:
            self._playback.worker_ended(msg.data["missed"])

    def _on_failed(self, msg: Message, **_: object) -> None:
        self._fail(str(msg.data["reason"]))

    def _fail(self, reason: str) -> None:
        self._lost = True
        self._failed(reason)
        self._runner.send_message(STOP)
        if self._playback is not None:
            self._playback.fail()
