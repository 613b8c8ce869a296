"""Telemetry: points, exports and spans are found again; what is missing has a reason or fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from testbed.checks.results import Explanation, Reason
from testbed.checks.stages import Stage
from testbed.checks.telemetry import lives
from testbed.pipeline import CounterReading, Export, Flow, Pipeline, Process, SpanCount
from testbed.records import StoredEvent
from testbed_otel import names

from tests.unit.verdict.conftest import INSTANCE, set_value

if TYPE_CHECKING:
    from testbed.checks.results import CheckResult, Hop

    from tests.unit.verdict.conftest import World

SIZE = 10
SPANS = 30
KEYS = [
    "points_collector",
    "points_prometheus",
    "exports_prometheus",
    "spans_collector",
    "spans_viewer",
]


@dataclass
class Telemetry:
    """One process that exports every second from 1000 on, and a Collector scraped half-way.

    Attributes:
        failing: numbers of exports that fail, from 1; they leave no sample.
        lost: numbers of exports that the Collector took and then lost.
        rejected: numbers of exports that the Collector took and Prometheus did not.
        gone: first and last second in which there is no Collector, or None.
        unread: exports that the Collector took after its last scrape before it went.
        uncounted: points that the Collector took and did not pass on.
        failed_spans: spans of failed exports; a span ends in each of the first 30 seconds.
        dropped_spans: spans that found the queue full.
        lost_spans: spans that the Collector lacks without a word.
        delay: seconds from an export to the scrape after it.
    """

    failing: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)
    gone: tuple[int, int] | None = None
    unread: int = 0
    uncounted: int = 0
    failed_spans: int = 0
    dropped_spans: int = 0
    lost_spans: int = 0
    delay: float = 0.5

    def pipeline(self) -> Pipeline:
        """What Prometheus would hold of 50 seconds."""
        exports, spans, readings, down = [], [], [], []
        points, seen = Flow(), Flow()
        started, failed = 990.0, 0
        for number in range(1, 51):
            time = 1000.0 + number
            fails = number in self.failing
            ends = number <= SPANS
            taken = ends and not fails and number > self.spans_away
            failed += ends and (fails or number <= self.failed_spans)
            if not fails:
                if number not in self.lost | self.rejected:
                    exports.append(Export(time=time, exports=number, points=number * SIZE))
                ended, dropped = min(number, SPANS), min(self.dropped_spans, number)
                spans.append(SpanCount(time=time, ended=ended, dropped=dropped, failed=failed))
            if self.gone is not None and self.gone[0] <= number <= self.gone[1]:
                down.append(time + self.delay)
                started, points, seen = time + 1, Flow(), Flow()
                continue
            if not fails:
                accepted = points.accepted + SIZE
                kept = self.uncounted if number > 20 else 0
                refused = points.send_failed + (SIZE if number in self.rejected else 0)
                points = Flow(
                    accepted=accepted, sent=accepted - kept - refused, send_failed=refused
                )
            seen = Flow(accepted=seen.accepted + taken, sent=seen.sent + taken)
            if self.gone is not None and self.gone[0] - self.unread <= number and not down:
                continue  # alive, but never scraped again
            at = time + self.delay
            readings.append(CounterReading(time=at, uptime=at - started, points=points, spans=seen))
        process = Process(
            instance="api-1",
            exports=tuple(exports),
            spans=tuple(spans),
            failed=len(self.failing) * SIZE,
            failures=len(self.failing),
        )
        return Pipeline(processes=(process,), readings=tuple(readings), down=tuple(down))

    @property
    def spans_away(self) -> int:
        """Spans that don't reach the Collector: the first ones."""
        return self.failed_spans + self.dropped_spans + self.lost_spans


def rows(world: World, telemetry: Telemetry) -> dict[str, Hop]:
    """The hops by key."""
    world.pipeline = telemetry.pipeline()
    return {hop.key: hop for hop in world.evaluate().hops if hop.key in KEYS}


def test_a_run_that_lost_nothing_adds_up(world: World) -> None:
    """Every hop is equal and needs no reason; the newest exports are left out at both ends."""
    found = rows(world, Telemetry())
    assert list(found) == KEYS
    assert all(hop.sent == hop.arrived and not hop.explained for hop in found.values())
    assert found["points_collector"].sent == 49 * SIZE
    assert found["exports_prometheus"].sent == 50
    assert world.evaluate().passed


def test_runs_without_such_evidence_have_no_such_hops(world: World) -> None:
    """Older runs, and those without a Collector, which fail for other reasons."""
    assert not [hop for hop in world.evaluate().hops if hop.key in KEYS]
    world.without = ("collector",)
    assert rows(world, Telemetry()) == {}


def test_failed_exports_are_the_reason_of_what_lacks(world: World) -> None:
    """Points that never arrived, and samples that Prometheus lacks."""
    found = rows(world, Telemetry(failing={20, 21, 22}))
    world.timeline.append(StoredEvent(1015.0, "component_stopped", "collector", {}))
    assert found["points_collector"].explained == (
        Explanation(reason=Reason.EXPORT_FAILED, count=3 * SIZE, certain=False),
    )
    assert found["exports_prometheus"].explained == (
        Explanation(reason=Reason.EXPORT_FAILED, count=3, certain=False),
    )
    assert world.evaluate().passed


def test_exports_that_prometheus_refused_are_as_many_as_the_collector_dropped(
    world: World,
) -> None:
    """What it counts in points explains so many exports, and not one more."""
    found = rows(world, Telemetry(rejected={20, 21, 22}))
    assert found["exports_prometheus"].explained == (
        Explanation(reason=Reason.SEND_FAILED, count=3, certain=False),
    )
    assert world.evaluate().passed
    rows(world, Telemetry(rejected={20, 21, 22}, lost={30}))
    assert "1 without a reason" in world.failed()["counts exports_prometheus"]


def test_an_export_that_vanished_fails(world: World) -> None:
    """Taken by the Collector, reported as sent, and not in Prometheus."""
    rows(world, Telemetry(lost={30}))
    failed = world.failed()
    assert failed["counts exports_prometheus"] == (
        "processes 50, Prometheus 49: 1 without a reason"
    )


def test_points_that_the_collector_kept_to_itself_fail(world: World) -> None:
    """Neither sent nor counted as failed, at any of the last scrapes."""
    rows(world, Telemetry(uncounted=45))  # ten of them may be on their way
    assert "35 without a reason" in world.failed()["counts points_prometheus"]


@pytest.mark.parametrize(
    ("counter", "reason"),
    [("send_failed", Reason.SEND_FAILED), ("enqueue_failed", Reason.ENQUEUE_FAILED)],
)
def test_what_the_collector_failed_to_send_has_its_reason(
    world: World, counter: str, reason: Reason
) -> None:
    """By its own counters, and no more than these say."""
    whole = Telemetry(uncounted=45).pipeline()
    for counted, residual in ((45, 0), (30, 5)):
        readings = tuple(
            reading.model_copy(
                update={"points": reading.points.model_copy(update={counter: counted})}
            )
            for reading in whole.readings
        )
        world.pipeline = whole.model_copy(update={"readings": readings})
        hop = next(hop for hop in world.evaluate().hops if hop.key == "points_prometheus")
        assert hop.explained[0] == Explanation(reason=reason, count=counted, certain=False)
        assert hop.residual == residual


def test_counters_of_a_collector_that_ended_are_added_up(world: World) -> None:
    """It begins at 0 again; what failed meanwhile is known."""
    gone = (20, 29)
    found = rows(world, Telemetry(gone=gone, failing=set(range(20, 30))))
    assert found["points_collector"].sent == 49 * SIZE
    assert found["points_collector"].arrived == 39 * SIZE
    assert {hop.residual for hop in found.values()} == {0}
    reasons = {item.reason for hop in found.values() for item in hop.explained}
    assert reasons == {Reason.EXPORT_FAILED}


def test_what_it_counted_after_its_last_scrape_has_a_reason_of_its_own(world: World) -> None:
    """As many as were exported between that scrape and the first one that failed."""
    found = rows(world, Telemetry(gone=(20, 29), failing=set(range(20, 30)), unread=2))
    for key in ("points_collector", "points_prometheus"):
        counts = {item.reason: item.count for item in found[key].explained}
        assert counts[Reason.COLLECTOR_ENDED] == 2 * SIZE
        assert found[key].residual == 0
    assert found["points_prometheus"].sent == 39 * SIZE


def test_an_export_that_failed_may_have_been_taken_and_sent_on(world: World) -> None:
    """Its answer got lost with the Collector, whose queue survived: nothing is too many."""
    whole = Telemetry(gone=(20, 29), failing=set(range(20, 30)), unread=2).pipeline()
    (process,) = whole.processes
    claimed = process.model_copy(update={"failed": process.failed + 2 * SIZE})
    readings = tuple(
        reading.model_copy(
            update={"points": Flow(accepted=flow.accepted, sent=flow.sent + 2 * SIZE)}
        )
        if reading.time > 1025
        else reading
        for reading in whole.readings
        for flow in (reading.points,)
    )
    world.pipeline = whole.model_copy(update={"processes": (claimed,), "readings": readings})
    found = {hop.key: hop for hop in world.evaluate().hops}
    assert [item.reason for item in found["points_collector"].explained] == [Reason.EXPORT_FAILED]
    assert found["points_prometheus"].residual == 0


def test_an_outage_explains_no_more_than_was_exported_around_it(world: World) -> None:
    """Points that lack beyond that are lost."""
    telemetry = Telemetry(gone=(20, 29), failing=set(range(20, 30)))
    whole = telemetry.pipeline()
    (process,) = whole.processes
    claimed = process.model_copy(update={"failed": process.failed - 35})
    world.pipeline = whole.model_copy(update={"processes": (claimed,)})
    assert "without a reason" in world.failed()["counts points_collector"]


@pytest.mark.parametrize("delay", [0.01, 0.99])
def test_exports_around_a_scrape_are_on_their_way(world: World, delay: float) -> None:
    """A scrape right after an export, or right before one, is no loss, on either side."""
    whole = Telemetry(delay=delay).pipeline()
    readings = tuple(
        reading.model_copy(
            update={
                "points": Flow(
                    accepted=reading.points.accepted + (SIZE if delay > 0.5 else -SIZE),
                    sent=reading.points.sent - (0 if delay > 0.5 else SIZE),
                )
            }
        )
        for reading in whole.readings
    )
    world.pipeline = whole.model_copy(update={"readings": readings})
    found = {hop.key: hop for hop in world.evaluate().hops}
    assert found["points_collector"].residual == 0
    assert found["points_prometheus"].residual == 0
    reasons = [item.reason for item in found["points_collector"].explained]
    assert reasons == ([] if delay > 0.5 else [Reason.IN_TRANSIT])


@pytest.mark.parametrize("held_up", [1, 2])
def test_exports_that_a_busy_machine_holds_up_are_not_lost(world: World, held_up: int) -> None:
    """At most of the last scrapes the newest exports are not counted yet; they are at others."""
    whole = Telemetry().pipeline()
    readings = [
        reading.model_copy(update={"points": whole.readings[max(0, number - held_up)].points})
        if number % 4 != 1
        else reading
        for number, reading in enumerate(whole.readings)
    ]
    world.pipeline = whole.model_copy(update={"readings": tuple(readings)})
    found = {hop.key: hop for hop in world.evaluate().hops if hop.key in KEYS}
    assert found["points_collector"].residual == 0


def test_two_exports_on_their_way_are_one_too_many(world: World) -> None:
    """Only the newest one can be."""
    whole = Telemetry(delay=0.01).pipeline()
    readings = tuple(
        reading.model_copy(update={"points": Flow(accepted=reading.points.accepted - 2 * SIZE)})
        for reading in whole.readings
    )
    world.pipeline = whole.model_copy(update={"readings": readings})
    assert "10 without a reason" in world.failed()["counts points_collector"]


def test_lost_spans_have_the_reasons_of_their_process(world: World) -> None:
    """A full queue and failed exports; what lacks beyond them fails."""
    found = rows(world, Telemetry(dropped_spans=4, failed_spans=3))
    counts = {item.reason: item.count for item in found["spans_collector"].explained}
    assert counts == {Reason.QUEUE_FULL: 4, Reason.EXPORT_FAILED: 3}
    assert found["spans_collector"].residual == 0
    rows(world, Telemetry(dropped_spans=4, failed_spans=3, lost_spans=5))
    assert "without a reason" in world.failed()["counts spans_collector"]


def late(whole: Pipeline, *, begun: int) -> Pipeline:
    """The Collector has six spans more; their process has not heard so yet."""
    (process,) = whole.processes
    spans = tuple(
        count.model_copy(update={"begun": count.ended + begun * (count.time > 1030)})
        for count in process.spans
    )
    readings = tuple(
        reading.model_copy(
            update={"spans": Flow(accepted=reading.spans.accepted + 6 * (reading.time > 1031))}
        )
        for reading in whole.readings
    )
    processes = (process.model_copy(update={"spans": spans}),)
    return whole.model_copy(update={"processes": processes, "readings": readings})


@pytest.mark.parametrize(("begun", "residual"), [(6, 0), (0, -6)])
def test_spans_whose_export_is_not_over_are_not_too_many(
    world: World, begun: int, residual: int
) -> None:
    """A busy process hears late that the Collector has them; begun they must be."""
    world.pipeline = late(Telemetry().pipeline(), begun=begun)
    found = {hop.key: hop for hop in world.evaluate().hops}
    assert found["spans_collector"].residual == residual


def test_readings_wait_for_the_word_of_every_living_process(world: World) -> None:
    """Another process's later export says nothing of what this one exported since its last."""
    whole = Telemetry().pipeline()
    (process,) = whole.processes
    behind = process.model_copy(update={"exports": process.exports[:-1], "spans": ()})
    ahead = process.model_copy(update={"instance": "api-2", "spans": ()})
    readings = tuple(
        reading.model_copy(update={"points": Flow(accepted=reading.points.accepted * 2)})
        for reading in whole.readings
    )
    world.pipeline = whole.model_copy(update={"processes": (behind, ahead), "readings": readings})
    found = {hop.key: hop for hop in world.evaluate().hops}
    assert found["points_collector"].residual == 0
    assert found["points_collector"].sent == 2 * 48 * SIZE


@pytest.mark.parametrize(
    ("instance", "lasting", "residual"), [("api-0", 20, 0), ("api-0", 50, -2), ("load-a-1", 20, -2)]
)
def test_a_killed_process_may_not_have_reported_of_its_last_spans(
    world: World, instance: str, lasting: int, residual: int
) -> None:
    """Those that the Collector has of it are not too many; of a living one, or a load, they are.

    A load that ends says of all of its spans.
    """
    whole = Telemetry().pipeline()
    (process,) = whole.processes
    exports = tuple(export for export in process.exports if export.exports <= lasting)
    other = process.model_copy(update={"instance": instance, "exports": exports, "spans": ()})
    readings = tuple(
        reading.model_copy(
            update={
                "points": Flow(
                    accepted=reading.points.accepted + min(number, lasting) * SIZE,
                    sent=reading.points.sent + min(number, lasting) * SIZE,
                ),
                "spans": Flow(accepted=reading.spans.accepted + 2, sent=reading.spans.sent + 2),
            }
        )
        for number, reading in enumerate(whole.readings, start=1)
    )
    world.pipeline = Pipeline(processes=(other, process), readings=readings)
    found = {hop.key: hop for hop in world.evaluate().hops}
    assert found["spans_collector"].residual == residual
    assert found["points_collector"].residual == 0


def test_a_collector_that_was_never_scraped_took_nothing(world: World) -> None:
    """Exports that nobody can be asked about are missing."""
    world.pipeline = Telemetry().pipeline().model_copy(update={"readings": ()})
    assert "500 without a reason" in world.failed()["counts points_collector"]


def test_a_new_life_is_seen_by_its_age() -> None:
    """Even where the new counters are already higher than the old ones were."""
    readings = tuple(
        CounterReading(time=time, uptime=uptime, points=Flow(accepted=accepted))
        for time, uptime, accepted in ((1.0, 5.0, 10), (2.0, 6.0, 20), (4.0, 1.0, 30))
    )
    found = lives(Pipeline(readings=readings, down=(3.0,)))
    assert [len(life.readings) for life in found] == [2, 1]
    assert [life.missed for life in found] == [3.0, None]
    quick = lives(Pipeline(readings=readings))
    assert [life.missed for life in quick] == [4.0, None]
    assert lives(Pipeline()) == ()


def _failing(failures: int, *, down: tuple[float, ...] = ()) -> Pipeline:
    """A process of a hundred exports, so many of which failed."""
    exports = (
        Export(time=1001.0, exports=1, points=10),
        Export(time=1049.0, exports=100, points=9),
    )
    return Pipeline(
        processes=(Process(instance="api-1", exports=exports, failures=failures),),
        readings=(CounterReading(time=1049.0, uptime=50.0),),
        down=down,
    )


def export_failures(world: World) -> CheckResult:
    """The check of failed exports."""
    return next(c for c in world.evaluate().checks if c.name == "export failures")


def test_a_collector_that_refuses_exports_is_named(world: World) -> None:
    """It answered its scrapes, so it was there; a few time-outs are nobody's fault."""
    world.pipeline = _failing(5)
    assert export_failures(world).passed
    world.pipeline = _failing(40)
    found = export_failures(world)
    assert (found.passed, found.stage) == (False, Stage.COLLECTOR)
    assert found.details == ("api-1: 40 of 100 exports failed",)


def test_a_collector_that_cannot_be_reached_is_named_too(world: World) -> None:
    """Nothing is said of one that the scenario stops."""
    world.pipeline = _failing(40, down=(1020.0,))
    found = export_failures(world)
    assert (found.passed, found.stage) == (False, Stage.COLLECTOR)
    assert "could not be reached" in found.summary
    world.timeline.append(StoredEvent(1015.0, "component_stopped", "collector", {}))
    assert not export_failures(world).applicable


def test_values_that_change_though_every_point_arrives_are_blamed_on_the_export(
    world: World,
) -> None:
    """Prometheus stored what it got."""
    world.pipeline = Pipeline(
        processes=(Process(instance="api-1", exports=(Export(time=1049.0, exports=1, points=9),)),),
        readings=(CounterReading(time=1050.0, uptime=50.0, points=Flow(accepted=9, sent=9)),),
    )
    set_value(world.prometheus[INSTANCE], names.LABELS.prometheus, 380, outcome="stored")
    found = next(c for c in world.evaluate().checks if c.name == "counts instances")
    assert (found.passed, found.stage) == (False, Stage.EXPORT)
    assert "changed at the export" in found.summary


def test_what_prometheus_could_not_keep_has_a_reason(world: World) -> None:
    """A fault filled its disk for a while; that of another component is no reason."""
    world.run = {"export_interval": 0.5}
    full = {"kind": "disk-full", "component": "prometheus"}
    world.scenario["phases"][1]["faults"].append(full)
    found = rows(world, Telemetry(lost={30}))
    assert found["exports_prometheus"].explained == (
        Explanation(reason=Reason.DISK_FULL, count=1, certain=False),
    )
    full["component"] = "alertmanager"
    assert "counts exports_prometheus" in world.failed()
