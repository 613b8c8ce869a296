"""Settings: from the environment, and refused in one line."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from testbed_api.__main__ import main
from testbed_api.errors import SettingsError
from testbed_api.ops.sockets import bind
from testbed_api.settings import ApiSettings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine, and an artefact that does not exist."""
    for field in ApiSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_API_{field.upper()}", raising=False)
    monkeypatch.setenv("TESTBED_API_ARTEFACT", str(tmp_path / "nothing"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "none")
    monkeypatch.setattr(sys, "argv", ["testbed_api"])


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field is a variable; 'none' means no log."""
    monkeypatch.setenv("TESTBED_API_PORT", "8123")
    monkeypatch.setenv("TESTBED_API_LOG_URL", "none")
    monkeypatch.setenv("TESTBED_API_FAULTS_ENABLED", "true")
    settings = ApiSettings.load()
    assert (settings.port, settings.log_url, settings.faults_enabled) == (8123, None, True)
    assert (settings.host, settings.management_host) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TESTBED_API_PORT", "many"),
        ("TESTBED_API_PORT", "65536"),
        ("TESTBED_API_BODY_LIMIT", "1"),
        ("TESTBED_API_FAULTS_ENABLED", "perhaps"),
    ],
)
def test_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The message begins with the variable to change."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        ApiSettings.load()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TESTBED_API_PORT", "-1", "TESTBED_API_PORT"),
        ("TESTBED_API_HOST", "127.0.0.1", "no model artefact"),
    ],
)
def test_process_ends_with_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    message: str,
) -> None:
    """A setting that can't be used is no traceback."""
    monkeypatch.setenv(name, value)
    assert main() == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_missing_artefact_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one setting without a default."""
    monkeypatch.delenv("TESTBED_API_ARTEFACT")
    assert main() == 2
    assert "TESTBED_API_ARTEFACT" in capsys.readouterr().err


def test_port_in_use_is_one_line() -> None:
    """The address that is taken is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port)


def test_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` is the reference."""
    sys.argv.append("--help")
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    for field in ApiSettings.model_fields:
        assert f"TESTBED_API_{field.upper()}" in shown


@pytest.mark.slow
def test_serving_process_imports_no_training_libraries() -> None:
    """The process stays small: no pandas, no scikit-learn, no Evidently, no Locust."""
    code = (
        "import sys, testbed_api.ops.server; "
        "print([name for name in ('pandas', 'sklearn', 'skl2onnx', 'evidently', 'locust', 'scipy') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
