"""The schedule that all users share."""

from __future__ import annotations

from typing import Any

import pytest
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPhase, LoadPlan
from testbed_load.schedule import Idle, Schedule, Ticket
from testbed_load.shards import Shard


def schedule(*phases: LoadPhase, shard: Shard | None = None) -> Schedule:
    """The schedule of a plan of these phases."""
    return Schedule(LoadPlan("run", 1, "diabetes", phases), shard)


def claim_all(subject: Schedule, now: float = 0.0) -> list[Ticket]:
    """Everything that can be claimed at one instant."""
    tickets = iter(lambda: subject.claim(now), None)
    return [ticket for ticket in tickets if isinstance(ticket, Ticket)]


def test_requests_are_due_at_even_distances_from_the_start_of_their_phase() -> None:
    """Phases begin exactly at the sum of the durations before them."""
    tickets = claim_all(schedule(LoadPhase("a", 2.0, 2.0), LoadPhase("b", 1.0, 4.0)))
    assert [ticket.due for ticket in tickets] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75]


def test_a_request_is_known_by_its_place_whenever_it_is_claimed() -> None:
    """Number, phase and place within the phase count up without a gap."""
    tickets = claim_all(schedule(LoadPhase("a", 1.0, 2.0), LoadPhase("b", 1.0, 3.0)))
    assert [(t.seq, t.phase, t.index) for t in tickets] == [
        (0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 1, 2),
    ]  # fmt: skip


def test_a_late_user_gets_the_overdue_request() -> None:
    """Overload shows as lateness, not as a lower rate."""
    subject = schedule(LoadPhase("a", 10.0, 1.0))
    assert [subject.claim(5.5), subject.claim(5.5)] == [Ticket(0, 0, 0, 0.0), Ticket(1, 0, 1, 1.0)]


def test_what_is_unsent_when_its_phase_ends_is_dropped_and_counted() -> None:
    """The next phase begins with its own first request, at its own time and number."""
    subject = schedule(LoadPhase("a", 10.0, 1.0), LoadPhase("b", 10.0, 1.0))
    subject.claim(0.0)
    assert subject.claim(10.0) == Ticket(10, 1, 0, 10.0)
    assert subject.missed == 9


def test_a_phase_that_counts_sends_them_all_however_late() -> None:
    """Exactly so many requests, also past the planned end."""
    subject = schedule(LoadPhase("a", 1.0, 5.0, requests=5))
    assert len(claim_all(subject, now=100.0)) == 5
    assert subject.missed == 0


@pytest.mark.parametrize(("requests", "expected"), [(3, 3), (None, 0)])
def test_without_a_rate_a_request_is_due_when_it_is_claimed(
    requests: int | None, expected: int
) -> None:
    """Until the count is reached, or the time is up."""
    subject = schedule(LoadPhase("a", 5.0, None, requests=requests, users=1))
    first = subject.claim(4.0)
    assert first == Ticket(0, 0, 0, 4.0)
    assert len(claim_all(subject, now=6.0)) == max(expected - 1, 0)


def dues(subject: Schedule, *times: float, users: int) -> list[float | None]:
    """When what so many users claim in turn at these times is due."""
    tickets = [subject.claim(time, place % users) for place, time in enumerate(times)]
    return [ticket.due if isinstance(ticket, Ticket) else None for ticket in tickets]


def test_users_think_before_they_ask_again() -> None:
    """At first one begins after the other; who would come too late sends nothing more."""
    subject = schedule(LoadPhase("a", 10.0, None, users=4, wait=2.0))
    assert dues(subject, 0.0, 0.0, 0.0, 0.0, users=4) == [0.0, 0.5, 1.0, 1.5]
    assert dues(subject, 0.25, 7.9, 8.0, 9.0, 7.0, users=4) == [2.25, 9.9, None, None, 9.0]
    assert subject.missed == 0


def test_think_times_are_drawn_with_the_given_mean() -> None:
    """Of 4,000, within four standard errors; equal seeds think equally long."""
    phase = LoadPhase("a", 1e9, None, users=3, wait=2.0, arrivals="poisson")
    found = dues(schedule(phase), *[0.0] * 4000, users=3)
    assert found == dues(schedule(phase), *[0.0] * 4000, users=3)
    assert sum(due or 0.0 for due in found) / 4000 == pytest.approx(2.0, abs=0.13)


def test_only_users_think() -> None:
    """With a rate, due times don't follow from answers."""
    more: Any
    for more in ({"wait": 1.0}, {"spawn_rate": 1.0}):
        with pytest.raises(ValueError, match="leave out rate and shape"):
            LoadPhase("a", 10.0, 5.0, **more)


def test_users_of_a_phase_are_as_many_as_it_says() -> None:
    """Of a larger pool the others wait for its end; numbers count on from what was sent."""
    closed = LoadPhase("b", 10.0, None, users=2, wait=1.0)
    subject = schedule(LoadPhase("a", 1.0, 3.0), closed, LoadPhase("c", 1.0, 2.0))
    assert [subject.claim(0.0, user) for user in range(3)] == [
        Ticket(0, 0, 0, 0.0), Ticket(1, 0, 1, 1 / 3), Ticket(2, 0, 2, 2 / 3),
    ]  # fmt: skip
    # Who comes before the phase begins waits for it.
    assert subject.claim(0.1, 0) == Ticket(3, 1, 0, 1.0)
    assert subject.claim(0.5, 1) == Ticket(4, 1, 1, 1.5)
    assert subject.claim(0.7, 2) == Idle(11.0)
    assert subject.claim(5.0, 0) == Ticket(5, 1, 2, 6.0)
    assert subject.claim(10.5, 1) == Idle(11.0)
    assert subject.claim(11.0, 2) == Ticket(6, 2, 0, 11.0)
    assert subject.claim(11.0, 0) == Ticket(7, 2, 1, 11.5)
    assert subject.claim(11.0, 1) is None
    assert subject.missed == 0


def test_users_begin_at_their_rate() -> None:
    """One after the other, so many per second; who would begin after the end never does."""
    phase = LoadPhase("a", 3.0, None, users=10, spawn_rate=2.0)
    assert dues(schedule(phase), *[0.0] * 7, users=10) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, None]


def test_an_ended_schedule_stays_ended() -> None:
    """Every user is notified, not only the first."""
    subject = schedule(LoadPhase("a", 1.0, 1.0))
    subject.claim(0.0)
    assert [subject.claim(0.5), subject.claim(9.0)] == [None, None]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_hand_out_what_one_process_would(count: int) -> None:
    """Each request once, at the same time; what none has sent is missed once."""
    phases = (LoadPhase("a", 2.0, 5.0), LoadPhase("b", 2.0, 4.0, arrivals="poisson"))
    whole = claim_all(schedule(*phases), now=0.0)
    each = [claim_all(schedule(*phases, shard=Shard(number, count))) for number in range(count)]
    together = [ticket for tickets in each for ticket in tickets]
    assert sorted(together, key=lambda ticket: ticket.seq) == whole
    late = [schedule(*phases, shard=Shard(number, count)) for number in range(count)]
    assert [subject.claim(9.0) for subject in late] == [None] * count
    assert sum(subject.missed for subject in late) == len(whole)


def test_closed_users_are_divided_among_shards() -> None:
    """All of them begin one after the other, and no number of a request stands twice."""
    closed = LoadPhase("b", 10.0, None, users=5, wait=5.0)
    phases = (closed, LoadPhase("c", 1.0, 5.0))
    shards = [schedule(*phases, shard=Shard(number, 2)) for number in range(2)]
    users = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]
    begun = [shards[name == "b"].claim(0.0, (name, number)) for name, number in users]
    assert sorted(ticket.due for ticket in begun if isinstance(ticket, Ticket)) == [0, 1, 2, 3, 4]
    assert shards[1].claim(0.0, ("b", 2)) == Idle(10.0), "two of five are this shard's"
    more = [shards[0].claim(1.0, ("a", 0))]  # one of them sends one more than the other
    after = [ticket for shard in shards for ticket in claim_all(shard, now=10.0)]
    numbers = [ticket.seq for ticket in (*begun, *more, *after) if isinstance(ticket, Ticket)]
    assert len(set(numbers)) == len(numbers) == 5 + 1 + 5


def test_a_worker_too_many_is_refused() -> None:
    """There is nothing for it to send."""
    with pytest.raises(LoadError, match="worker 3 is one too many: the load has 2 workers"):
        Shard(2, 2)
