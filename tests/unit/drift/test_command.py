"""The command line and its settings, up to where the work begins."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed_drift.cli import main
from testbed_drift.jobs.assembly import telemetry_of
from testbed_drift.settings import DriftSettings, DriftSettingsError, read_settings
from testbed_drift.stopping import SIGNALS, StopSignal
from testbed_otel.settings import SDK_METRICS

from tests.support.schemas import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches the tests."""
    for name in DriftSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_DRIFT_{name.upper()}", raising=False)


def test_settings_come_from_the_environment_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments go before variables, variables before defaults."""
    monkeypatch.setenv("TESTBED_DRIFT_LOG_URL", "sqlite:///a.db")
    monkeypatch.setenv("TESTBED_DRIFT_ARTEFACT", "model")
    monkeypatch.setenv("TESTBED_DRIFT_INTERVAL", "10")
    monkeypatch.setenv("TESTBED_DRIFT_MIN_ROWS", "50")
    settings = read_settings(interval="2.5", window=None)
    assert settings.artefact == Path("model")
    assert (settings.interval, settings.min_rows, settings.window) == (2.5, 50, 900.0)
    assert (settings.alert_share, settings.retrain_share) == (0.30, 0.5)
    assert (settings.max_rows, settings.html) == (5000, "on_change")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"log_url": None}, "TESTBED_DRIFT_LOG_URL is missing: give it, or --log-url"),
        ({"interval": "soon"}, "--interval: "),
        ({"interval": "0"}, "--interval must be more than 0, not "),
        ({"html": "sometimes"}, "--html must be .*, not 'sometimes'"),
        ({"max_rows": "100"}, "--max-rows 100 is below --min-rows 200"),
        ({"confirm": "2"}, "--confirm-of 1 is below --confirm 2"),
        ({"alert_share": "0.6"}, r"--retrain-share 0\.5 is below --alert-share 0\.6"),
        ({"alert_share": "nan"}, "--alert-share must be at most 1, not 'nan'"),
        ({"reference_window": "january"}, "--reference-window: .*START/END"),
    ],
)
def test_wrong_settings_are_named(arguments: dict[str, str | None], message: str) -> None:
    """As an option where it was given; what is missing, by its variable and option."""
    with pytest.raises(DriftSettingsError, match=message):
        read_settings(**{"log_url": "sqlite://", "artefact": "model", **arguments})


def _error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_wrong_setting_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing setting is one line on standard error."""
    assert "TESTBED_DRIFT_LOG_URL" in _error(capsys, "run")


def test_fixed_window_cannot_be_watched(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that does not move gives nothing to watch."""
    monkeypatch.setenv("TESTBED_DRIFT_CURRENT_WINDOW", "2024-02-01/2024-02-29")
    line = _error(capsys, "watch", "--log-url", "sqlite:///a.db", "--artefact", "model")
    assert "use it with run" in line


def test_a_textfile_is_not_of_watch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that stays is scraped itself; a setting that it would not obey is reported."""
    monkeypatch.setenv("TESTBED_DRIFT_TEXTFILE", "shop.prom")
    arguments = ("--log-url", "sqlite:///a.db", "--artefact", "model")
    assert "watch has TESTBED_DRIFT_METRICS_PORT" in _error(capsys, "watch", *arguments)


def test_missing_artefact_ends_with_2_and_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No model, no run: 2 and not 1, which would mean drift."""
    arguments = ("--log-url", "sqlite:///a.db", "--artefact", str(tmp_path))
    assert "artefact" in _error(capsys, "run", *arguments, "--otlp-endpoint", "none")


def test_an_error_before_the_run_is_an_object(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With ``--json``: a wrong setting, and a model that is missing; the line stays, and exit 2."""
    model = ("--log-url=sqlite://", f"--artefact={tmp_path / 'nowhere'}")
    for options, message in (
        (("--log-url=sqlite://",), "TESTBED_DRIFT_ARTEFACT is missing"),
        (model, "nowhere"),
        ((*model, "--window-rows=400", "--every=400"), "nowhere"),
    ):
        assert main(("run", *options, f"--output={tmp_path}", "--json")) == 2
        output = capsys.readouterr()
        (found,) = map(json.loads, output.out.splitlines())
        schema_of("drift-run.schema.json").validate(found)
        assert (found["outcome"], found["model_version"]) == ("error", "unknown")
        assert message in found["message"]
        assert output.err.splitlines() == [f"drift: {found['message']}"]


@pytest.mark.parametrize(
    ("command", "shown"),
    [([], "reference"), (["run"], "--min-rows"), (["watch"], "--interval"), (["ui"], "--names")],
)
def test_help(capsys: pytest.CaptureFixture[str], command: list[str], shown: str) -> None:
    """Help of the whole lists the commands; that of a command its options, settings included."""
    assert main([*command, "--help"]) == 0
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "watch", "retrain"])
def test_every_setting_is_an_option(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """But for those that a command can't obey."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main([command, "--help"]) == 0
    output = capsys.readouterr().out
    options = {name: f"--{name.replace('_', '-')} " for name in DriftSettings.model_fields}
    shown = {name for name, option in options.items() if option in output}
    shown |= {"output"} if "--output,--out " in output else set()
    assert (
        DriftSettings.model_fields.keys() - shown
        == {
            "run": {"interval", "metrics_host", "metrics_port"},
            "watch": {"current_window", "textfile"},
            "retrain": {"current_window", "reference_window", "textfile"},
        }[command]
    )


@pytest.mark.parametrize("option", ["--interval=5m", "--interval=300", "--interval=300.0"])
def test_durations_have_one_grammar(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    """Of every setting and option: with a unit, or plain seconds."""
    model = ("--log-url=sqlite://", f"--artefact={tmp_path}")
    assert "artefact" in _error(capsys, "watch", *model, option, "--window=15m")
    settings = read_settings(log_url="sqlite://", artefact=tmp_path, interval=option[11:])
    assert settings.interval == 300.0


def test_a_setting_that_is_no_duration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to write, though others are missing."""
    line = _error(capsys, "watch", "--window", "soon")
    assert "--window: " in line
    assert "write 90s, 15m, 6h, 1d or 2w" in line


def test_help_waits_for_nothing_that_takes_seconds() -> None:
    """Neither alone nor below ``testbed``."""
    heavy = {"evidently", "pandas", "sklearn", "scipy", "mlflow"}
    script = (
        "import sys, testbed_drift.cli as cli; cli.main(['run', '--help']); "
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_stop_is_remembered() -> None:
    """A stop ends the wait that runs and all later ones."""
    stop = StopSignal()
    assert not stop.wait(0)
    stop.set()
    assert stop.wait(60)
    assert stop.wait(60)


def test_a_stop_interrupts_what_nobody_waits_for() -> None:
    """A signal ends a chore in the middle of a step; there is no next one, and no error."""
    stop, done = StopSignal(), list[str]()

    def chores() -> Iterator[None]:
        done.append("first")
        yield
        signal.raise_signal(signal.SIGTERM)
        done.append("second")
        yield

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        stop.install()
        assert len(list(stop.interrupting(chores()))) == 1
        signal.raise_signal(signal.SIGINT)  # outside of a step it is only remembered
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done == ["first"]
    assert stop.wait(60)
    assert list(stop.interrupting(chores())) == []


def test_the_job_reports_how_its_exports_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK measures itself, so that what the job could not export is known."""
    monkeypatch.setenv(SDK_METRICS, "")  # remembered, so that the test's own value goes away
    monkeypatch.delenv(SDK_METRICS)
    telemetry = telemetry_of("http://127.0.0.1:9")
    first, second = ({f.name for f in telemetry.registry.collect()} for _ in range(2))
    assert "telemetry_export_failed" in first
    assert "otel_sdk_metric_reader_collection_duration_seconds" in second  # that of the first
    telemetry.shutdown(timeout=0)
