"""Functions of the preset ``titanic`` by its users' names; :class:`.recording.Recorder` does it."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from testbed_otel.recording import Recorder
from testbed_otel.sdk import TelemetrySettings, setup

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from testbed_otel.sdk import Telemetry

SERVICE: Final = "ml-monitoring"
PRESET: Final = "titanic"


@functools.cache
def telemetrie() -> Telemetry:
    """The telemetry of this process, set up by the ``OTEL_*`` variables at the first use."""
    settings = TelemetrySettings.from_env()
    return setup(SERVICE, replace(settings, aliases=tuple({*settings.aliases, PRESET})))


@functools.cache
def _recorder() -> Recorder:
    return Recorder.create(telemetrie())


def registre() -> CollectorRegistry:
    """What ``prometheus_client.generate_latest`` makes the page ``/metrics`` of."""
    return telemetrie().registry


def enregistrer_prediction(
    model_version: str, prediction_class: str, confidence: float, latency: float
) -> None:
    """Count a prediction; see :meth:`.recording.Recorder.record_prediction`.

    Args:
        model_version: the version that made it.
        prediction_class: what it said.
        confidence: probability of that class, 0 to 1.
        latency: seconds that it took.
    """
    _recorder().record_prediction(
        model_version, prediction_class, confidence=confidence, seconds=latency
    )


def enregistrer_erreur(error_type: str) -> None:
    """Count a prediction that failed; see :meth:`.recording.Recorder.record_error`."""
    _recorder().record_error(error_type)


def mettre_a_jour_accuracy(model_version: str, accuracy: float) -> None:
    """Set a version's accuracy, 0 to 1; see :meth:`.recording.Recorder.record_accuracy`."""
    _recorder().record_accuracy(model_version, accuracy)
