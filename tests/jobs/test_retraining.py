"""RETRAIN with the real API: a challenger is trained, compared, and promoted or not."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.polling import PATIENCE

from .drift_place import traffic
from .retraining_service import last_retraining, shifted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.artefact import Artefact

    from .drift_place import DriftPlace
    from .retraining_service import Service

ROWS = 700


# Settings of the job in every test here.
OPTIONS = (
    *("--html=never", "--otlp-endpoint=none", "--retrain-min-rows=500"),
    *("--retrain-cooldown=3600", "--max-rows=2000"),
)


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
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """Drift that costs no accuracy: RETRAIN tries, the champion stays, no challenger is left."""
    rows = shifted(traffic(ROWS, 6)[0])
    answers = service.predict(rows)
    service.label(answers, [answer["prediction"] for answer in answers])
    done = job.run()
    assert done.returncode == 1, done.stderr
    assert "retraining: kept: not better: accuracy 1.000 of the champion" in done.stderr
    assert service.roles() == {"champion": champion.version}
    assert job.run().returncode == 1
    assert len((job.output / "retraining.jsonl").read_text().splitlines()) == 1, "no cool-down"


def test_api_that_refuses_is_an_outcome(
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """Where the challenger can't be registered the run's own result stands, and says so."""
    rows = shifted(traffic(ROWS, 7)[0])
    answers = service.predict(rows)
    service.label(answers, [1 - answer["prediction"] for answer in answers])
    done = job.run("--management-urls=http://127.0.0.1:9", "--json")
    assert done.returncode == 1, done.stderr
    assert "retraining: failed: GET http://127.0.0.1:9/models" in done.stderr
    assert '"outcome": "failed"' in done.stdout
    assert service.roles() == {"champion": champion.version}
