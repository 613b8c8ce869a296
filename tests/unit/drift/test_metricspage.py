"""The drift job's page of metrics."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from testbed_drift.publishing.metricspage import serving
from testbed_drift.settings import DriftSettingsError
from testbed_otel import names
from testbed_otel.sdk import TelemetrySettings, gauge, setup

HOST = "127.0.0.1"


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as reply:
        return str(reply.read().decode())


def test_the_page_shows_scores_under_all_names(unused_port: int) -> None:
    """The last values are there under the testbed's name and those of two presets."""
    telemetry = setup(
        "drift-job", TelemetrySettings(endpoint=None, aliases=("fastapi-instrumentator", "titanic"))
    )
    ratio = gauge(telemetry.meter("test"), names.DRIFT_RATIO)
    with serving(telemetry.registry, HOST, unused_port):
        ratio.set(0.25, {names.MODEL_VERSION: "v1"})
        text = _page(unused_port)
        assert 'ml_data_drift_ratio{model_version="v1"} 0.25' in text
        assert "\ndata_drift_score 0.25" in text
        assert "\nml_data_drift_score 0.25" in text
        ratio.set(0.5, {names.MODEL_VERSION: "v1"})
        assert "\ndata_drift_score 0.5" in _page(unused_port)
    with pytest.raises(urllib.error.URLError):
        _page(unused_port)
    telemetry.shutdown()


def test_without_a_port_nothing_listens(unused_port: int) -> None:
    """The page is asked for by its port."""
    telemetry = setup("drift-job", TelemetrySettings(endpoint=None))
    with serving(telemetry.registry, HOST, None), pytest.raises(urllib.error.URLError):
        _page(unused_port)
    telemetry.shutdown()


def test_a_port_in_use_is_named() -> None:
    """One line that names the variable."""
    telemetry = setup("drift-job", TelemetrySettings(endpoint=None))
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        message = f"TESTBED_DRIFT_METRICS_PORT: cannot listen on {HOST}:{port}"
        with (
            pytest.raises(DriftSettingsError, match=message),
            serving(telemetry.registry, HOST, port),
        ):
            pass
    telemetry.shutdown()
