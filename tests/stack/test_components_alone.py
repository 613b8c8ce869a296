"""The components alone, as the command line offers them: train, serve, load, labels, drift run."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from testbed_domain.logstore import open_log

from tests.support.commandline import CommandLine
from tests.support.datafiles import DataFile
from tests.support.polling import PATIENCE, answers, wait_for
from tests.support.predictionlog import label_count


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

    with command_line.start("serve", *options) as process:
        ready = partial(answers, f"{url}/health/ready")
        wait_for(ready, 60, lambda: command_line.output, process)
        said = f"ready: predictions on {url}"
        wait_for(lambda: said in command_line.output, PATIENCE, lambda: command_line.output)
        yield url, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_load_that_reaches_nothing_fails(command_line: CommandLine, unused_port: int) -> None:
    """Exit 1, with the reason and the seed that would repeat it."""
    url = f"http://127.0.0.1:{unused_port}"
    burst = command_line.run("load", "burst", "--host", url, "--requests", "5", "--out", "truth")
    assert burst.code == 1
    assert "Connection refused" in burst.output
    assert "every request" in burst.output
    seed = json.loads((burst.out / "load-plan.json").read_text())["seed"]
    assert f"load: seed {seed};" in burst.output


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
        assert label_count(rows) == 100

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


@pytest.mark.parametrize("diabetes_file", ["own"], indirect=True)
def test_training_says_what_it_made(command_line: CommandLine, diabetes_file: DataFile) -> None:
    """Metrics, version and the origin of the data are printed; the same input is trained once."""
    first = command_line.run("train", "--data", str(diabetes_file.path))
    assert first.code == 0, first.output
    assert "accuracy" in first.output
    assert "real" in first.output
    command_line.run("train", "--data", str(diabetes_file.path))
    assert len(list((command_line.folder / ".testbed" / "models").iterdir())) == 1
