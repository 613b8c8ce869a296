"""A worker's side of a load that several processes send (:mod:`testbed_load.master`)."""

from __future__ import annotations

import os
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.shallow import shallow_dict

from testbed_load.errors import LoadError
from testbed_load.messages import BEGIN, ENDED, FAILED, PLAN, READY, SENT, STOP, digest
from testbed_load.plan import parse_plan
from testbed_load.playback import Playback, freeze_memory, steady_clock
from testbed_load.shards import Shard
from testbed_load.users import LabelPoster, PredictionUser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.env import Environment
    from locust.rpc.protocol import Message
    from locust.runners import WorkerRunner

    from testbed_load.plan import LoadPlan
    from testbed_load.traffic import TrafficSource
    from testbed_load.truth import RequestRecord

REPORT: Final = 0.25
"""Seconds between two reports."""

LOOK: Final = 1.0
"""Seconds between two looks whether the load is over."""


class ReportedTruth:
    """Reports to the master what happened, some times a second.

    Args:
        send: sends a message.
    """

    def __init__(self, send: Callable[[str, dict[str, Any]], None]) -> None:
        self._send = send
        self._requests: list[dict[str, Any]] = []
        self._labels: list[tuple[float, int | None, list[int]]] = []

    def started(self, time: float) -> None:
        """The master knows."""

    def request(self, record: RequestRecord) -> None:
        """Report it with the next ones."""
        self._requests.append(shallow_dict(record))

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """Report them with the next ones."""
        self._labels.append((sent_at, status, [*seqs]))

    def report(self) -> None:
        """Send what there is."""
        if self._requests or self._labels:
            content = {"requests": self._requests, "labels": self._labels}
            self._requests, self._labels = [], []
            self._send(SENT, content)

    def ended(self, time: float, *, missed: int) -> None:
        """Report the rest, and that it is all."""
        del time
        self.report()
        self._send(ENDED, {"missed": missed})


class Worker:
    """A worker's side of a shared load.

    Args:
        environment: of Locust.
        runner: of Locust.
        plan: what all of them send.
        source: where rows come from.
        headers: of every request.
    """

    def __init__(
        self,
        environment: Environment,
        runner: WorkerRunner,
        plan: LoadPlan,
        source: TrafficSource,
        headers: dict[str, str],
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._plan = plan
        self._source = source
        self._headers = headers
        self._parent = os.getppid()
        self._truth = ReportedTruth(runner.send_message)
        self._playback: Playback | None = None
        self._poster: LabelPoster | None = None
        self._done = Event()
        runner.register_message(PLAN, self._on_plan)
        runner.register_message(BEGIN, self._on_begin)
        runner.register_message(STOP, self._on_stop)

    def stop(self) -> None:
        """Send nothing more."""
        if self._playback is not None:
            self._playback.stop()

    def prepare(self) -> None:
        """Get ready: only when the test starts has the master said how many workers there are."""
        count = getattr(self._environment.parsed_options, "expect_workers", 1)
        try:
            shard = Shard(self._runner.worker_index, count)
            playback = Playback(self._plan, self._source, self._truth, steady_clock(), shard)
        except LoadError as error:
            self._runner.send_message(FAILED, {"reason": str(error)})
            return
        self._playback = PredictionUser.playback = playback
        PredictionUser.headers = self._headers
        PredictionUser.network_timeout = PredictionUser.connection_timeout = self._plan.timeout
        self._poster = LabelPoster(self._environment, playback, self._headers)
        self._done = Event()
        Thread(target=self._report, args=(self._done,), daemon=True).start()
        self._runner.send_message(READY)

    def user_failed(self, exception: Exception) -> None:
        """A user met what it didn't expect."""
        reason = f"a user of worker {self._runner.worker_index + 1} failed: {exception!r}"
        self._runner.send_message(FAILED, {"reason": reason})

    def _on_plan(self, msg: Message, **_: object) -> None:
        """Another load than the one before, by the form of the master's web UI."""
        self._plan = parse_plan(msg.data["plan"])

    def _on_begin(self, msg: Message, **_: object) -> None:
        if self._playback is None:
            return
        if msg.data["plan"] != digest(self._plan):
            reason = f"worker {self._runner.worker_index + 1} has another plan than the master"
            self._runner.send_message(FAILED, {"reason": reason})
            return
        freeze_memory()
        self._playback.begin(msg.data["start"])
        Thread(target=self._end, args=(self._done,), daemon=True).start()

    def _on_stop(self, **_: object) -> None:
        """Users that wait for a request's time end now, others once theirs is answered."""
        self.stop()
        self._runner.stop()

    def _report(self, done: Event) -> None:
        while not done.wait(REPORT):
            self._truth.report()
            if os.getppid() != self._parent:  # a master that was killed stops nobody
                self.stop()
                os._exit(1)

    def _end(self, done: Event) -> None:
        """Report the end as soon as all is sent and all labels are posted."""
        playback, poster = self._playback, self._poster
        if playback is not None and poster is not None:
            while not playback.wait_over(LOOK):
                pass
            playback.wait_idle(self._plan.timeout)
            poster.finish()
            playback.finish()
        done.set()
