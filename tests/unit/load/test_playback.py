"""A plan being played, without Locust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Thread

import pytest
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, PhaseDrift
from testbed_load.playback import Job, Playback
from testbed_load.replies import Reply
from testbed_load.traffic import TrafficSource
from testbed_load.truth import RequestRecord


@dataclass
class TruthList:
    """Keeps the truth in memory."""

    start: float | None = None
    requests: list[RequestRecord] = field(default_factory=list)
    batches: list[tuple[float, int | None, list[int]]] = field(default_factory=list)
    end: tuple[float, int] | None = None

    def started(self, time: float) -> None:
        """Keep it."""
        self.start = time

    def request(self, record: RequestRecord) -> None:
        """Keep it."""
        self.requests.append(record)

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """Keep it."""
        self.batches.append((sent_at, status, [*seqs]))

    def ended(self, time: float, *, missed: int) -> None:
        """Keep it."""
        self.end = (time, missed)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def truth() -> TruthList:
    """A truth in memory."""
    return TruthList()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def playback(source: TrafficSource, truth: TruthList, clock: Clock, *phases: LoadPhase) -> Playback:
    """Plays these phases."""
    plan = LoadPlan("run", 1, "diabetes", phases, labels=LabelPlan(1.0, 5.0))
    return Playback(plan, source, truth, clock)


COUNTED = LoadPhase("counted", 1.0, 4.0, PhaseDrift("scale", 0.5), requests=4)
SUCCESS = Reply(200, None, "p", 1, 0.5)


def claimed(subject: Playback) -> Job:
    """The next request."""
    job = subject.claim()
    assert job is not None
    return job


def test_requests_wait_for_the_beginning(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """Users that are spawned early send nothing before the start is written."""
    subject = playback(source, truth, clock, COUNTED)
    jobs: list[Job | None] = []
    user = Thread(target=lambda: jobs.append(subject.claim()), daemon=True)
    user.start()
    assert (jobs, truth.start) == ([], None)
    subject.begin()
    user.join(120)
    assert truth.start == 1000.0
    assert [job.due for job in jobs if job] == [1000.0]


def test_a_request_is_kept_with_its_truth(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """Schedule, drift, row, label and answer stand in one record."""
    subject = playback(source, truth, clock, COUNTED)
    subject.begin()
    claimed(subject)
    job = claimed(subject)
    clock.now = 1000.75
    subject.record(job, 1000.5, SUCCESS, 1000.3)
    (record,) = truth.requests
    assert record.free_at == 1000.3
    assert (record.seq, record.request_id, record.phase) == (1, "run-1", "counted")
    times = (record.scheduled_at, record.sent_at, record.finished_at)
    assert times == (1000.25, 1000.5, 1000.75)
    assert (record.drift, record.severity) == ("scale", 0.5)
    assert (record.features, record.label) == (job.features, job.label)
    assert (record.status, record.prediction_id, record.probability) == (200, "p", 0.5)


def test_a_request_carries_the_trace_that_the_truth_holds(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """Whoever finds it slow finds its trace; without a ratio the service draws it."""
    plan = LoadPlan("run", 1, "diabetes", (COUNTED,), trace_ratio=1.0)
    subject = Playback(plan, source, truth, clock)
    subject.begin()
    job = claimed(subject)
    subject.record(job, 1000.5, SUCCESS)
    (record,) = truth.requests
    assert record.sampled
    version, trace_id, _, flags = job.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", record.trace_id, "01")
    assert job.headers["X-Request-ID"] == "run-0"
    other = playback(source, truth, clock, COUNTED)
    other.begin()
    assert list(claimed(other).headers) == ["X-Request-ID"]


def test_only_an_answered_prediction_gets_a_label(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """A label without a prediction's id could not be posted."""
    subject = playback(source, truth, clock, COUNTED)
    subject.begin()
    for reply in (SUCCESS, Reply(500), Reply(None, "timeout")):
        subject.record(claimed(subject), 1000.0, reply)
    assert len(subject.labels) == 1
    assert subject.labels.take(1004.9) == []
    assert [item.prediction_id for item in subject.labels.take(1005.0)] == ["p"]


def test_the_load_is_over_when_its_last_user_has_left(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """Requests in flight are waited for."""
    subject = playback(source, truth, clock, COUNTED)
    subject.join()
    subject.join()
    subject.begin()
    assert [subject.claim() is None for _ in range(5)] == [False] * 4 + [True]
    subject.leave()
    assert not subject.wait_over(0.0)
    subject.leave()
    assert subject.wait_over(0.0)


def test_a_hanging_user_does_not_keep_the_load_for_ever(
    source: TrafficSource, truth: TruthList, clock: Clock
) -> None:
    """Past the duration and the last timeout it is over all the same."""
    subject = playback(source, truth, clock, LoadPhase("timed", 2.0, 1.0))
    subject.join()
    subject.begin()
    clock.now += 2.0 + subject.plan.timeout
    assert not subject.wait_over(0.0)
    clock.now += 1.5
    assert subject.wait_over(0.0)


def test_a_stop_ends_the_load_early(source: TrafficSource, truth: TruthList, clock: Clock) -> None:
    """No user gets another request, and the end says how much was missed of ended phases."""
    subject = playback(source, truth, clock, LoadPhase("timed", 60.0, 1.0))
    subject.join()
    subject.begin()
    claimed(subject)
    subject.stop()
    assert subject.claim() is None
    assert subject.wait_over(0.0)
    subject.finish()
    assert truth.end == (1000.0, 0)
