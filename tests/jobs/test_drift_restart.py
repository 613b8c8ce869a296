"""The drift job as a process that is killed, doubled, and late for its labels."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.logstore import open_log

from tests.support.polling import PATIENCE

from .drift_place import DriftPlace, traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

TRIES = 30


@pytest.fixture
def place(small_artefact: Artefact, tmp_path: Path) -> Iterator[DriftPlace]:
    """A registered model with an empty log."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(small_artefact)
    made = DriftPlace(small_artefact, url, tmp_path / "drift")
    yield made
    made.close()


@pytest.mark.long
def test_kill_while_a_report_is_written(place: DriftPlace) -> None:
    """SIGKILL while the page grows: no half page under its name, and the next run tidies up."""
    place.log(traffic(300, 2)[0])
    # The page grows for some milliseconds only: a kill that came after them is another try.
    for _ in range(TRIES):
        process = place.start("watch", "--html=always", "--interval=0.1")
        place.wait(lambda: _written(place, ".drift_*") or _written(place, "*.html"), process)
        process.kill()
        process.wait()
        if _written(place, ".drift_*") and not _pages(place):
            break
        assert all(path.read_text().rstrip().endswith("</html>") for path in _pages(place))
        shutil.rmtree(place.output)
    else:
        pytest.fail("every kill came too late to leave a half page")
    assert place.records == []
    done = place.run()
    assert done.returncode in {0, 1}, done.stderr
    assert not list(place.output.glob(".*"))
    assert [record["outcome"] for record in place.records] == ["success"]
    for path in place.output.glob("*.json"):
        json.loads(path.read_text())


def _written(place: DriftPlace, pattern: str) -> bool:
    return any(place.output.glob(pattern))


def _pages(place: DriftPlace) -> list[Path]:
    return list(place.output.glob("*.html"))


def test_killed_job_counts_no_window_twice(place: DriftPlace) -> None:
    """After SIGKILL a new process knows the last window and its vote; late labels wake it."""
    rows, labels = traffic(300, 2)
    ids = place.log(rows)
    options = ("--interval=0.1", "--confirm=1", "--confirm-of=5")
    first = place.start("watch", *options)
    place.wait(lambda: len(place.records) > 1, first)
    first.kill()
    first.wait()
    before = place.records
    assert [record["outcome"] for record in before].count("success") == 1
    second = place.start("watch", *options)
    place.wait(lambda: len(place.records) >= len(before) + 2, second)
    evaluated = [record for record in place.records if record["outcome"] == "success"]
    assert len(evaluated) == 1
    assert "no new rows" in place.records[-1]["message"]
    place.label(ids, labels)

    def of_late_labels() -> list[dict[str, Any]]:
        return [record for record in place.records if record.get("fresh") is False]

    place.wait(lambda: bool(of_late_labels()), second)
    late = of_late_labels()[0]
    assert late["performance"]["labels"]["coverage"] == 1.0
    assert late["performance"]["realised"]["accuracy"] > 0.5
    second.send_signal(signal.SIGTERM)
    assert second.wait(PATIENCE) == 0
    state = json.loads((place.output / "published.json").read_text())
    assert len(state["memory"]["votes"]) == 1
    started = [record["started"] for record in place.records]
    assert started == sorted(set(started))


def test_two_jobs_on_one_directory(place: DriftPlace) -> None:
    """The second is refused with one line, or waits until the first one ends."""
    place.log(traffic(300, 2)[0])
    first = place.start("watch", "--interval=0.1")
    place.wait(lambda: bool(place.records), first)
    refused = place.run()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    assert f"(process {first.pid}) writes into {place.output}" in refused.stderr
    waiting = place.start("run", "--lock-wait=60", "--json")
    first.send_signal(signal.SIGTERM)
    out, err = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode in {0, 1}, err
    assert first.wait(PATIENCE) == 0
    assert place.records[-1] == json.loads(out)
