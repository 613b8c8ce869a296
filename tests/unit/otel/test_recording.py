"""Recording by hand: what another program reports about its own model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from testbed_otel.recording import Recorder
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Telemetry that is pushed nowhere, with the names of the preset titanic."""
    made = setup("my-model", TelemetrySettings(endpoint=None, aliases=("titanic",)))
    yield made
    made.shutdown()


def test_predictions_errors_and_accuracy_are_metrics(telemetry: Telemetry) -> None:
    """Each is found under the testbed's name and the preset's."""
    recorder = Recorder.create(telemetry)
    recorder.record_prediction("1.0", "survived", confidence=0.75, seconds=0.25)
    recorder.record_prediction("1.0", "survived")
    recorder.record_error("model")
    recorder.record_error("never heard of")
    recorder.record_error("model", "1.0")
    recorder.record_accuracy("1.0", 0.5)
    recorder.record_accuracy("1.0", 0.625)
    value = telemetry.registry.get_sample_value
    labels = {"model_version": "1.0", "prediction_class": "survived"}
    assert value("ml_predictions_total", labels) == 2
    assert value("ml_prediction_probability_count", labels) == 1
    assert value("ml_prediction_confidence", {"class": "survived"}) == 0.75
    assert value("ml_prediction_latency_seconds_sum") == 0.25
    # The page gives all series of a metric the same labels; an empty one is an absent one.
    unknown = {"model_version": ""}
    assert value("ml_prediction_errors_total", unknown | {"error_type": "model"}) == 1
    of_version = {"model_version": "1.0", "error_type": "model"}
    assert value("ml_prediction_errors_total", of_version) == 1
    assert value("ml_prediction_errors_total", unknown | {"error_type": "other"}) == 1
    assert value("ml_prediction_errors_total", unknown | {"error_type": "validation"}) == 0
    assert value("ml_model_accuracy", {"model_version": "1.0"}) == 0.625


@pytest.mark.parametrize("ratio", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(telemetry: Telemetry, ratio: float) -> None:
    """A wrong confidence counts no prediction, a wrong accuracy leaves the one before."""
    recorder = Recorder.create(telemetry)
    with pytest.raises(ValueError, match="confidence"):
        recorder.record_prediction("1.0", "died", confidence=ratio)
    with pytest.raises(ValueError, match="accuracy"):
        recorder.record_accuracy("1.0", ratio)
    value = telemetry.registry.get_sample_value
    labels = {"model_version": "1.0", "prediction_class": "died"}
    assert value("ml_predictions_total", labels) is None
    assert value("ml_model_accuracy", {"model_version": "1.0"}) is None


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_what_is_no_duration_is_refused(telemetry: Telemetry, seconds: float) -> None:
    """A sum that once was infinite or no number stays so."""
    recorder = Recorder.create(telemetry)
    with pytest.raises(ValueError, match="seconds"):
        recorder.record_prediction("1.0", "died", seconds=seconds)
    assert telemetry.registry.get_sample_value("ml_prediction_latency_seconds_sum") is None
