"""Settings: sources, order, errors."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from testbed.cli import app as command_line
from testbed.cli.housekeeping import parse_age
from testbed.errors import UsageError
from testbed.preparation import smtp_settings
from testbed.settings import Settings, load_settings, trace_ratio
from testbed.stack.configuration import SmtpSettings
from typer.testing import CliRunner

from tests.support.typedpage import blocks_of


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults, then testbed.toml, then TESTBED_*."""
    assert load_settings().home == Path(".testbed")
    Path("testbed.toml").write_text('home = "from-file"\ntrace_ratio = 0.5\n')
    monkeypatch.setenv("TESTBED_TRACE_RATIO", "0.25")
    settings = load_settings()
    assert (settings.home, settings.trace_ratio) == (Path("from-file"), 0.25)


def test_a_bad_value_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable that is wrong."""
    monkeypatch.setenv("TESTBED_TRACE_RATIO", "2")
    with pytest.raises(UsageError, match="TESTBED_TRACE_RATIO"):
        load_settings()


def test_systems_of_metric_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that have names are shown by default; an empty setting shows none."""
    assert load_settings().metric_aliases == "fastapi-instrumentator,titanic,ml-api,churn"
    monkeypatch.setenv("TESTBED_METRIC_ALIASES", "")
    assert load_settings().metric_aliases == ""
    monkeypatch.setenv("TESTBED_METRIC_ALIASES", "titanic,x")
    with pytest.raises(UsageError, match="'x' is not a preset"):
        load_settings()


def test_the_system_whose_job_names_are_borne_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """None by default; one without any is refused."""
    assert load_settings().job_names == ""
    monkeypatch.setenv("TESTBED_JOB_NAMES", "fastapi-instrumentator ")
    assert load_settings().job_names == "fastapi-instrumentator"
    monkeypatch.setenv("TESTBED_JOB_NAMES", "churn")
    with pytest.raises(UsageError, match="'churn' has no job names of its own: choose from"):
        load_settings()


def test_a_broken_file_is_one_line() -> None:
    """A settings file that is no TOML gives an error that names it."""
    Path("testbed.toml").write_text("home = [")
    with pytest.raises(UsageError, match=r"testbed\.toml"):
        load_settings()


def test_ages() -> None:
    """Ages are hours, days or weeks."""
    assert parse_age("12h") == 12 * 3600
    assert parse_age("2w") == 14 * 86400
    with pytest.raises(UsageError, match="7 days"):
        parse_age("7 days")


def test_a_run_samples_some_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run samples more of them, unless somebody set a ratio; 0 stays 0."""
    monkeypatch.delenv("OTEL_TRACES_SAMPLER_ARG", raising=False)
    assert trace_ratio(Settings(), planned=None) == 0.01
    assert trace_ratio(Settings(), planned=300) == 0.1
    assert trace_ratio(Settings(), planned=10) == 1.0
    assert trace_ratio(Settings(), planned=100_000) == 0.01
    assert trace_ratio(Settings(trace_ratio=0.02), planned=300) == 0.02
    assert trace_ratio(Settings(trace_ratio=0), planned=300) == 0
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    assert trace_ratio(Settings(), planned=300) == 0.5
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "half")
    with pytest.raises(UsageError, match="OTEL_TRACES_SAMPLER_ARG"):
        trace_ratio(Settings())


def test_a_command_in_the_file_must_be_trusted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that came with a folder starts nothing; the same command at the same place may."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = Path("testbed.toml")
    file.write_text('drift_on_retrain = "command rm -rf /"\n')
    with pytest.raises(UsageError, match=r"not trusted.*testbed trust"):
        load_settings()
    monkeypatch.setenv("TESTBED_DRIFT_ON_RETRAIN", "off")  # what wins over the file is the user's
    assert load_settings().drift_on_retrain == "off"
    monkeypatch.delenv("TESTBED_DRIFT_ON_RETRAIN")
    assert CliRunner().invoke(command_line, ["trust"]).stdout == (
        "trusted: drift_on_retrain = command rm -rf /\n"
    )
    assert load_settings().drift_on_retrain == "command rm -rf /"
    store = tmp_path / "config" / "ml-observability-testbed" / "trusted.json"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    file.write_text('drift_on_retrain = "command rm -rf /"\nhome = "elsewhere"\n')
    assert load_settings().home == Path("elsewhere")  # nothing that starts a program has changed
    for other in ("command  rm -rf /", "command sh evil", " command x"):
        file.write_text(f"drift_on_retrain = {other!r}\n")
        with pytest.raises(UsageError, match="not trusted"):
            load_settings()
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    file.write_text('drift_on_retrain = "command rm -rf /"\n')
    with pytest.raises(UsageError, match="not trusted"):
        load_settings()


def test_other_files_need_no_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does one that trains by our own means; a broken store trusts nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = Path("testbed.toml")
    file.write_text('drift_on_retrain = "builtin"\n')
    assert load_settings().drift_on_retrain == "builtin"
    assert "names no command" in CliRunner().invoke(command_line, ["trust"]).stdout
    store = tmp_path / "ml-observability-testbed" / "trusted.json"
    store.parent.mkdir()
    for content in ("{", "{}", "null"):
        store.write_text(content)
        file.write_text('drift_on_retrain = "command x"\n')
        with pytest.raises(UsageError, match="not trusted"):
            load_settings()


def test_the_page_on_mail_sets_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines, as a shell reads them, are the e-mail of a run."""
    (block,) = blocks_of("how-to/email.md", "")
    lines = [line.removeprefix("export ") for line in block.splitlines() if "export" in line]
    for variable, _, value in (line.partition("=") for line in lines):
        monkeypatch.setenv(variable, value)
    smtp = smtp_settings(load_settings())
    assert smtp == SmtpSettings(
        host="mail.example.com:587",
        sender="alerts@example.com",
        receiver="oncall@example.com",
        user="alerts@example.com",
        password="\u2026",  # noqa: S106 - what the page has in its place
    )
