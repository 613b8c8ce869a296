"""RETRAIN with the real API: a challenger is trained, compared, and promoted or not."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.polling import PATIENCE
from tests.support.typedpage import DOCS, spans_of, typed_in

from .drift_place import traffic
from .retraining_service import last_retraining, shifted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.artefact import Artefact

    from .drift_place import DriftPlace
    from .retraining_service import Service

ROWS = 700
QUALITY = "how-to/model-quality.md"
# Where a value stands in the job's record, as that page names it.
PATH_OF_RECORD = re.compile(r"(?:performance|labels)(?:\.\w+)+")
OF_NUMBERS = {"performance.estimated.mae"}


# Settings of the job in every test here.
OPTIONS = (
    *("--html=never", "--otlp-endpoint=none", "--retrain-min-rows=500"),
    *("--retrain-cooldown=3600", "--max-rows=2000"),
)


def _by_hand(job: DriftPlace, *options: str) -> subprocess.CompletedProcess[str]:
    """The page's command that trains; it sends no telemetry."""
    _, name = typed_in("how-to/retrain.md", "testbed drift retrain")
    return subprocess.run(
        [word for word in job.command(name, *options) if not word.startswith("--otlp-endpoint")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _at(record: dict[str, Any], path: str) -> bool:
    """Whether the record holds something there; labels stand below the performance."""
    place: Any = record["performance"] if path.startswith("labels") else record
    for part in path.split("."):
        if part not in place:
            return False
        place = place[part]
    return True


def _accuracy(answers: Sequence[dict[str, Any]], labels: Sequence[object]) -> float:
    right = [bool(a["prediction"] == label) for a, label in zip(answers, labels, strict=True)]
    return sum(right) / len(right)


def test_better_challenger_is_promoted_and_accuracy_recovers(
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """Drift with other labels: RETRAIN, a better model, its promotion, a job that follows it."""
    rows, texts = traffic(2 * ROWS, 5)
    rows, labels = shifted(rows), [1 - int(text) for text in texts]
    before = service.predict(rows[:ROWS])
    service.label(before, labels[:ROWS])
    process = job.start("watch", "--interval=0.5")
    job.wait(lambda: "champion" in last_retraining(job.output), process)
    kept = last_retraining(job.output)
    assert kept["outcome"] == "promoted", kept
    assert service.roles() == {"champion": kept["challenger"], "previous": champion.version}
    assert kept["trial"]["challenger"]["accuracy"] > kept["trial"]["champion"]["accuracy"]
    after = service.predict(rows[ROWS:])
    service.label(after, labels[ROWS:])
    assert {answer["model_version"] for answer in after} == {kept["challenger"]}
    old, new = _accuracy(before, labels[:ROWS]), _accuracy(after, labels[ROWS:])
    assert new > old + 0.2

    def following() -> list[dict[str, Any]]:
        return [
            record
            for record in job.records
            if (record["model_version"], record["outcome"]) == (kept["challenger"], "success")
            and record["performance"]["realised"]["labels"] == ROWS
        ]

    job.wait(lambda: bool(following()), process)
    found = following()[-1]
    assert found["performance"]["realised"]["accuracy"] == pytest.approx(new)
    assert found["decision"] != "RETRAIN", found["reasons"]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert "retraining: promoted: better: accuracy" in err
    assert len((job.output / "retraining.jsonl").read_text().splitlines()) == 1


def test_champion_stays_where_nothing_is_better(
    champion: Artefact, service: Service, job: DriftPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drift that costs no accuracy: RETRAIN tries, the champion stays, no challenger is left.

    The command that does it by hand knows no cool-down; the record holds what the page on the
    model's quality says, of each segment, too.
    """
    (segment,) = {each for each in spans_of(QUALITY) if each.startswith("TESTBED_DRIFT_SEGMENT=")}
    monkeypatch.setenv(*segment.split("="))
    rows = shifted(traffic(ROWS, 6)[0])
    answers = service.predict(rows)
    service.label(answers, [answer["prediction"] for answer in answers])
    done = job.run()
    assert done.returncode == 1, done.stderr
    assert "retraining: kept: not better: accuracy 1.000 of the champion" in done.stderr
    assert service.roles() == {"champion": champion.version}
    assert job.run().returncode == 1
    assert len((job.output / "retraining.jsonl").read_text().splitlines()) == 1, "no cool-down"
    done = _by_hand(job)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "kept"
    assert service.roles() == {"champion": champion.version}
    record = job.records[0]
    for path in set(spans_of(QUALITY)):
        if PATH_OF_RECORD.fullmatch(path) and path not in OF_NUMBERS:
            assert _at(record, path), path
    (scores,) = re.findall(r"The scores are\s+those of scikit-learn: ([^;.]*)\.", _page(QUALITY))
    (basis,) = re.findall(r"probably show: ([^;.]*?), from the model", _page(QUALITY))
    for words, kind in ((scores, "realised"), (basis, "estimated")):
        named = re.findall(r"`(\w+)`", words)
        assert len(named) > 4
        assert set(named) <= record["performance"][kind].keys(), kind
    segments = record["performance"]["segments"]
    column = segment.partition("=")[2]
    assert all(column in name for name in segments)
    assert 1 < len(segments) <= 4, "quartiles of a number"
    assert all("accuracy" in found["estimated"] for found in segments.values())


def test_api_that_refuses_is_an_outcome(
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """Where the challenger can't be registered the run's own result stands, and says so."""
    rows = shifted(traffic(ROWS, 7)[0])
    answers = service.predict(rows)
    service.label(answers, [1 - answer["prediction"] for answer in answers])
    nobody = "--management-urls=http://127.0.0.1:9"
    done = job.run(nobody, "--json")
    assert done.returncode == 1, done.stderr
    assert "retraining: failed: GET http://127.0.0.1:9/models" in done.stderr
    assert '"outcome": "failed"' in done.stdout
    done = _by_hand(job, nobody)
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (2, "failed"), done.stderr
    assert service.roles() == {"champion": champion.version}
