"""The parts alone, as the command line offers them: train, serve, load, labels, drift run."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from testbed_domain.logstore import open_log

from .conftest import CommandLine, wait_for

PASSWORD = "correct-horse"  # noqa: S105 - the test looks for it in the output


@pytest.fixture
def served(command_line: CommandLine, unused_port: int) -> Iterator[tuple[str, Path]]:
    """URL of a service that ``testbed serve`` started, and the file of its prediction log."""
    log = command_line.folder / "log.db"
    options = (
        "--port",
        str(unused_port),
        "--management-port",
        "0",
        "--log-url",
        f"sqlite:///{log}",
    )
    url = f"http://127.0.0.1:{unused_port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health/ready", timeout=1).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with command_line.start("serve", *options) as process:
        wait_for(lambda: answers() or process.poll() is not None, 60, "the service did not start")
        assert process.poll() is None, command_line.output
        yield url, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_burst_is_one_command_and_leaves_its_rows(
    command_line: CommandLine, served: tuple[str, Path]
) -> None:
    """One hundred requests are sent, answered, logged and labelled; then drift can be evaluated."""
    url, log = served
    burst = command_line.run("load", "burst", "--host", url, "--requests", "100", "--out", "truth")
    assert burst.code == 0, burst.output
    assert "100" in burst.output
    truth = (burst.out / "requests.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in truth] == [200] * 100
    with open_log(f"sqlite:///{log}") as rows:
        assert rows.count() == 100
        assert rows.count_labels() == 100

    (model,) = (command_line.folder / ".testbed" / "models").iterdir()
    where = ("--log-url", f"sqlite:///{log}", "--artefact", str(model))
    few = command_line.run("drift", "run", *where)
    assert few.code == 2
    assert "200 needed" in few.output

    more = command_line.run("load", "drifted", "--host", url, "--requests", "300", "--rate", "100")
    assert more.code == 0, more.output
    drifted = command_line.run("drift", "run", *where)
    assert drifted.code == 1, drifted.output
    assert "drift_share=" in drifted.output
    reports = command_line.folder / ".testbed" / "drift"
    assert list(reports.glob("drift_*.html"))


def test_training_says_what_it_made(command_line: CommandLine, diabetes_csv: Path) -> None:
    """Metrics, version and the origin of the data are printed; the same input is trained once."""
    first = command_line.run("train", "--data", str(diabetes_csv))
    assert first.code == 0, first.output
    assert "accuracy" in first.output
    assert "real" in first.output
    command_line.run("train", "--data", str(diabetes_csv))
    assert len(list((command_line.folder / ".testbed" / "models").iterdir())) == 1


def test_settings_hide_secrets(command_line: CommandLine) -> None:
    """Effective settings can be shown to others."""
    command_line.environment["TESTBED_LOG_URL"] = f"postgresql://u:{PASSWORD}@db/log"
    command_line.environment["TESTBED_SMTP_PASSWORD"] = PASSWORD
    command_line.environment["OTEL_EXPORTER_OTLP_HEADERS"] = f"key={PASSWORD}"
    shown = command_line.run("settings")
    assert shown.code == 0
    assert "postgresql://u:***@db/log" in shown.output
    assert PASSWORD not in shown.output


def test_clean_removes_only_what_is_old_enough(command_line: CommandLine) -> None:
    """Age decides, and a dry run removes nothing."""
    run = command_line.folder / ".testbed" / "runs" / "one"
    run.mkdir(parents=True)
    assert command_line.run("clean", "--older-than", "1h").code == 0
    assert run.exists()
    assert "would remove" in command_line.run("clean", "--older-than", "0h", "--dry-run").output
    assert run.exists()
    assert command_line.run("clean", "--older-than", "0h").code == 0
    assert not run.exists()
