"""The file that keeps metrics of runs for node_exporter, without the exporter."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families
from testbed_drift.publishing.ending import TextfileError, ending
from testbed_drift.publishing.textfile import Textfile
from testbed_drift.settings import DriftSettingsError, read_settings
from testbed_otel import names
from testbed_otel.sdk import TelemetrySettings, setup

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNS, RATIO, LAST = (
    "ml_drift_job_runs_total",
    "ml_data_drift_ratio",
    "ml_drift_job_last_run_timestamp_seconds",
)
PROCESSES, TIMES = 3, 40
FOUND = "ml_data_drift_detections_total"


def _measured(
    outcome: str, time: float, ratio: float | None = None, version: str = "1"
) -> CollectorRegistry:
    """What the process of one run shows."""
    registry = CollectorRegistry()
    Counter(RUNS, "Runs.", ["outcome"], registry=registry).labels(outcome).inc()
    Gauge(LAST, "Time.", ["outcome"], registry=registry).labels(outcome).set(time)
    Gauge("otel_sdk_things", "Of the process.", registry=registry).set(1)
    if ratio is not None:
        Gauge(RATIO, "Share.", ["model_version"], registry=registry).labels(version).set(ratio)
        found = Counter(FOUND, "Found.", ["model_version", "column"], registry=registry)
        found.labels(version, "age").inc(2)
    return registry


@pytest.fixture
def textfile(tmp_path: Path) -> Textfile:
    """A file that is not there yet."""
    return Textfile(tmp_path / "shop.prom")


def _shown(textfile: Textfile) -> Mapping[tuple[str, ...], float]:
    """Value by name and the values of the labels in their order, without the job's."""
    families = text_string_to_metric_families(textfile.path.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels.pop("drift_job") for sample in samples} == {"shop"}
    named = {name for sample in samples for name in sample.labels}
    assert named <= {"outcome", "model_version", "column"}
    return {(one.name, *(v for _, v in sorted(one.labels.items()))): one.value for one in samples}


@pytest.mark.parametrize("room", ["ml.data_drift.", "ml.performance.", "ml.relations."])
def test_all_that_a_run_finds_is_written(textfile: Textfile, room: str) -> None:
    """Whatever the vocabulary says of the drift job's results."""
    wanted = {
        metric.prometheus
        for metric in names.METRICS
        if metric.name.startswith(room) and metric.kind == "gauge"
    }
    registry = CollectorRegistry()
    for name in wanted:
        Gauge(name, "Found.", registry=registry).set(1)
    textfile.write(registry, evaluated=True)
    assert {name for (name,) in _shown(textfile)} == wanted != set()


def test_counters_count_on_and_gauges_are_the_last_ones(textfile: Textfile) -> None:
    """Each run is a process of its own, whose counters begin anew."""
    textfile.write(_measured("success", 10, 0.25), evaluated=True)
    first = dict(_shown(textfile))
    textfile.write(_measured("success", 20, 0.5), evaluated=True)
    second = _shown(textfile)
    assert first == {
        (RUNS, "success"): 1,
        (LAST, "success"): 10,
        (RATIO, "1"): 0.25,
        (FOUND, "age", "1"): 2,
    }
    assert (second[RUNS, "success"], second[LAST, "success"], second[RATIO, "1"]) == (2, 20, 0.5)
    assert sorted(second.values()) == [0.5, 2, 4, 20]


def _write_often(path: Path) -> None:
    for _ in range(TIMES):
        Textfile(path).write(_measured("success", 10, 0.25), evaluated=True)


@pytest.mark.slow
def test_runs_that_end_at_once_all_count(textfile: Textfile) -> None:
    """Processes take turns: none writes over what another has just counted."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_write_often, [textfile.path] * PROCESSES))
    assert _shown(textfile)[RUNS, "success"] == PROCESSES * TIMES
    assert list(textfile.path.parent.iterdir()) == [textfile.path]


def test_a_run_without_a_decision_leaves_the_last_one(textfile: Textfile) -> None:
    """Only what speaks of runs goes on; the time of the last success stays beside the failure's."""
    textfile.write(_measured("success", 10, 0.25), evaluated=True)
    textfile.write(_measured("error", 20), evaluated=False)
    found = _shown(textfile)
    assert (found[RUNS, "success"], found[RUNS, "error"]) == (1, 1)
    assert (found[LAST, "success"], found[LAST, "error"]) == (10, 20)
    assert found[RATIO, "1"] == 0.25


def test_values_of_another_model_end(textfile: Textfile) -> None:
    """A new version replaces the old one; runs are counted on."""
    textfile.write(_measured("success", 10, 0.25), evaluated=True)
    textfile.write(_measured("success", 20, 0.75, "2"), evaluated=True)
    found = _shown(textfile)
    assert (found[RATIO, "2"], found[RUNS, "success"]) == (0.75, 2)
    assert not [key for key in found if "1" in key]


def test_a_file_that_can_t_be_read_is_replaced(textfile: Textfile) -> None:
    """Whoever wrote it, it would not be metrics."""
    textfile.path.write_text("no metrics {")
    textfile.write(_measured("success", 10, 0.25), evaluated=True)
    assert _shown(textfile)[RATIO, "1"] == 0.25


def test_a_write_that_breaks_leaves_the_old_file(
    textfile: Textfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half file is left, and the end of the process reports in one line."""
    textfile.write(_measured("success", 10, 0.25), evaluated=True)
    before = textfile.path.read_bytes()

    def full(*_: Any) -> None:  # noqa: ANN401 - whatever the library calls it with
        raise OSError(28, "No space left on device")

    telemetry = setup("drift", TelemetrySettings(endpoint=None))
    with monkeypatch.context() as patched:
        patched.setattr("os.rename", full)
        with pytest.raises(TextfileError) as caught:
            ending(telemetry, textfile, evaluated=True)
    assert str(caught.value) == f"cannot write {textfile.path}: No space left on device"
    assert textfile.path.read_bytes() == before
    assert list(textfile.path.parent.iterdir()) == [textfile.path]


def test_nothing_measured_is_nothing_written(textfile: Textfile) -> None:
    """A process that may not measure leaves the file as it was, and says so."""
    telemetry = setup("drift", TelemetrySettings(endpoint=None, disabled=True))
    (line,) = ending(telemetry, textfile, evaluated=True)
    assert "OTEL_SDK_DISABLED" in line
    assert not textfile.path.exists()


def test_a_name_or_a_folder_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    """node_exporter reads only ``*.prom``, and a folder that is missing is a slip of the pen."""
    given = {"log_url": "sqlite://", "artefact": "model"}
    with pytest.raises(DriftSettingsError, match=r"--textfile: .*must end in \.prom"):
        read_settings(**given, textfile=str(tmp_path / "shop.txt"))
    path = read_settings(**given, textfile=str(tmp_path / "away" / "shop.prom")).textfile
    with pytest.raises(DriftSettingsError, match="there is no folder"):
        Textfile.of(path)
    assert Textfile.of(None) is None
