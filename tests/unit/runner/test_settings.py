"""Settings: sources, order, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.cli.housekeeping import parse_age
from testbed.errors import UsageError
from testbed.settings import Settings, load_settings, trace_ratio


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
    assert load_settings().metric_aliases == "a,b,c,e"
    monkeypatch.setenv("TESTBED_METRIC_ALIASES", "")
    assert load_settings().metric_aliases == ""
    monkeypatch.setenv("TESTBED_METRIC_ALIASES", "a,x")
    with pytest.raises(UsageError, match="no system 'x'"):
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
