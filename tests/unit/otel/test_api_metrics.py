"""The API's metrics, of children or of ordinary instruments, are the same for both readers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from testbed_api.log.kpis import Costs
from testbed_api.telemetry.instruments import Instruments
from testbed_domain.features import Feature, FeatureSchema, Kpi
from testbed_otel import names
from testbed_otel.sdk import TelemetrySettings, setup

from tests.support import artefacts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlpreceiver import Receiver

SCHEMA = FeatureSchema(
    features=(Feature("x", "number", "A number."),),
    target="y",
    classes=(0, 1),
    kpis=(Kpi("lost", "Missed.", ((0, 1, 2.5),)),),
)


def test_both_readers_show_all_kinds_of_metrics(receiver: Receiver, tmp_path: Path) -> None:
    """Pushed and scraped values agree, fractions and those of batches and versions included."""
    telemetry = setup("ml-api", TelemetrySettings(receiver.url, math.inf, export_timeout=5))
    artefact = artefacts.described(tmp_path, SCHEMA)
    instruments = Instruments.create(telemetry)
    Costs(telemetry.meter("testbed_api"), artefact).count([("v1", "0", "1")])
    instruments.key_requests.add(3, {names.API_KEY: "me", names.OUTCOME: "limited"})
    instruments.log_rows.add(2, {names.OUTCOME: "dropped"})
    version = {names.MODEL_VERSION: "v1"}
    instruments.batches.add(4, {**version, names.REASON: "size"})
    instruments.shadow.add(5, {**version, names.OUTCOME: "agreed"})
    instruments.cache.add(6, {**version, names.OUTCOME: "hit"})
    instruments.traffic.set(0.25, version)
    instruments.replica_starts.add(1, {names.REASON: "crash"})
    instruments.log_spooled.set(7)
    instruments.set_log_state("spooling")
    assert telemetry.flush()
    pushed = {
        (metric.name, *sorted(each.value.string_value for each in point.attributes)): (
            point.as_int if point.HasField("as_int") else point.as_double
        )
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in (*metric.sum.data_points, *metric.gauge.data_points)
    }
    expected: list[tuple[names.Metric, list[str], float]] = [
        (names.BUSINESS_COST, ["lost", "v1"], 2.5),
        (names.API_KEY_REQUESTS, ["limited", "me"], 3),
        (names.LOG_ROWS, ["dropped"], 2),
        (names.BATCH_DISPATCHES, ["size", "v1"], 4),
        (names.SHADOW_PREDICTIONS, ["agreed", "v1"], 5),
        (names.CACHE_REQUESTS, ["hit", "v1"], 6),
        (names.MODEL_TRAFFIC, ["v1"], 0.25),
        (names.REPLICA_STARTS, ["crash"], 1),
        (names.LOG_SPOOLED, [], 7),
        (names.LOG_STATE, ["spooling"], 1),
        (names.LOG_STATE, ["writing"], 0),
    ]
    scraped = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in telemetry.registry.collect()
        for sample in family.samples
    }
    for metric, values, value in expected:
        assert pushed[(metric.name, *values)] == value
        assert scraped[(metric.prometheus, *values)] == value
    telemetry.shutdown()
