"""Training: determinism, splits, the export against scikit-learn, and atomic installation."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_domain import training
from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.dataset import read_bundled
from testbed_domain.encoding import decode, encode
from testbed_domain.errors import DomainError
from testbed_domain.forests import export, fit, measure, scorer
from testbed_domain.onnxsession import OnnxSession
from testbed_domain.training import TrainingData, TrainingOptions, train, train_again, train_into
from testbed_domain.use_cases import get_use_case

from tests.support.fulldisk import full_disk

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.features import Row
    from testbed_domain.use_cases import Label

    from tests.support.datafiles import DataFile

DIABETES = get_use_case("diabetes")
IRIS = get_use_case("iris")
PROGRESSION = get_use_case("progression")


def _files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_same_seed_and_data_same_version(
    synthetic: Artefact, tmp_path: Path, small: TrainingOptions
) -> None:
    """Training again elsewhere gives the same files; another seed gives another version."""
    again = train(DIABETES, None, 7, tmp_path / "again", small)
    other = train(DIABETES, None, 8, tmp_path / "other", small)
    assert again.version == synthetic.version
    assert again.files == synthetic.files
    assert other.version != synthetic.version


def test_identical_artefact_stays_untouched(tmp_path: Path, small: TrainingOptions) -> None:
    """Training the same once more leaves even the time of creation as it was."""
    out = tmp_path / "model"
    first = train(IRIS, None, 1, out, small, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    before = _files(out)
    second = train(IRIS, None, 1, out, small, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert first.created == second.created == "2026-01-01T00:00:00+00:00"
    assert _files(out) == before


def test_another_model_replaces_the_old_one_whole(tmp_path: Path, small: TrainingOptions) -> None:
    """A new version takes the old one's place, a broken one too, and nothing is left beside it."""
    out = tmp_path / "model"
    train(DIABETES, None, 1, out, small)
    new = train(IRIS, None, 1, out, small)
    assert load_artefact(out).version == new.version
    new.model_file.write_bytes(b"broken")
    assert load_artefact(train(IRIS, None, 1, out, small).path).version == new.version
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_store_keeps_every_version(tmp_path: Path, small: TrainingOptions) -> None:
    """In a store each version has its own directory, and equal training reuses it."""
    first = train_into(tmp_path, IRIS, None, 1, small)
    assert train_into(tmp_path, IRIS, None, 1, small) == first
    second = train_into(tmp_path, IRIS, None, 2, small)
    names = {f"iris-{first.version}", f"iris-{second.version}"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_foreign_directories_are_spared(tmp_path: Path, small: TrainingOptions) -> None:
    """A directory that holds something else is never replaced, and a file neither."""
    note = tmp_path / "note.txt"
    note.write_text("mine", encoding="utf-8")
    for out in (tmp_path, note):
        with pytest.raises(DomainError, match="is not a model artefact"):
            train(IRIS, None, 1, out, small)
    assert note.read_text(encoding="utf-8") == "mine"


def test_failing_half_way_leaves_nothing(tmp_path: Path, small: TrainingOptions) -> None:
    """When writing fails, there is neither an artefact nor a temporary directory."""
    whole = train(IRIS, None, 1, tmp_path / "whole" / "model", small).path
    largest = max(path.stat().st_size for path in whole.iterdir())
    (tmp_path / "half").mkdir()
    with full_disk(largest - 1), pytest.raises(OSError, match="File too large"):
        train(IRIS, None, 1, tmp_path / "half" / "model", small)
    assert not list((tmp_path / "half").iterdir())


def test_an_export_that_disagrees_is_not_kept(
    tmp_path: Path, small: TrainingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model whose ONNX form answers differently from scikit-learn is refused."""
    data = read_bundled(IRIS)
    other = fit(IRIS.schema, (data.rows, data.labels), 99, small.trees, small.depth)
    model = export(other, 4)
    monkeypatch.setattr(training, "export", lambda *_arguments: model)
    with pytest.raises(DomainError, match="differs from scikit-learn"):
        train(IRIS, None, 1, tmp_path / "model", small)
    assert not (tmp_path / "model").exists()


def test_onnx_agrees_with_scikit_learn(small: TrainingOptions) -> None:
    """On fresh rows the export gives scikit-learn's classes and probabilities."""
    assert DIABETES.generator is not None
    sample = DIABETES.generator.sample(np.random.default_rng(5), 2_000)
    forest = fit(DIABETES.schema, sample, 5, small.trees, small.depth)
    scores = scorer(export(forest, 8), DIABETES.schema)
    fresh = DIABETES.generator.sample(np.random.default_rng(6), 2_000)
    expected = forest.predict_proba(encode(DIABETES.schema, fresh[0]))
    np.testing.assert_allclose(scores(fresh), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["synthetic", "iris"])
def test_reference_is_what_the_model_answers(name: str, request: pytest.FixtureRequest) -> None:
    """Asked row by row, the stored model gives the reference's very probabilities."""
    artefact: Artefact = request.getfixturevalue(name)
    session = OnnxSession(artefact.model_file)
    rows = list(artefact.reference())
    assert len(rows) == artefact.splits["reference"]
    for row in rows[:50]:
        output = session.outputs(encode(artefact.schema, [row.features]))
        (answer,) = decode(artefact.schema, output)
        assert row.prediction == str(artefact.schema.classes[answer.index])
        assert row.probability == answer.probability
        assert row.probabilities == answer.probabilities


@pytest.mark.slow
def test_model_has_signal(tmp_path: Path) -> None:
    """At the default size a forest nearly reaches the best possible accuracy of 0.863."""
    artefact = train(DIABETES, None, 2, tmp_path / "model")
    assert artefact.synthetic
    assert artefact.splits == {"train": 5_000, "test": 1_500, "reference": 5_000}
    # 1,500 rows: one standard error is 0.009.
    assert 0.82 < artefact.metrics["accuracy"] < 0.90
    assert artefact.metrics["roc_auc"] > 0.9
    assert artefact.metrics["onnx_agreement"] == 1.0


def test_a_file_of_patients(diabetes_file: DataFile, tmp_path: Path) -> None:
    """A file trains a useful model, and the artefact says where it came from."""
    artefact = train(DIABETES, diabetes_file.path, 1, tmp_path / "model")
    assert artefact.metrics["accuracy"] > 0.7
    assert artefact.splits == {"train": 384, "test": 115, "reference": 269}
    assert not artefact.synthetic
    assert artefact.source["name"] == "diabetes.csv"
    assert len(artefact.source["sha256"]) == 64
    manifest = (artefact.path / "artefact.json").read_text(encoding="utf-8")
    assert str(diabetes_file.path.parent) not in manifest


def test_splits_are_stratified_and_disjoint() -> None:
    """Train, test and reference share the classes' proportions and hold every row once."""
    rows: list[Row] = [{"number": number} for number in range(1_000)]
    labels: list[Label] = ["yes" if number % 4 == 0 else "no" for number in range(1_000)]
    parts = training._split((rows, labels), 3)
    assert [len(part[0]) for part in parts] == [500, 150, 350]
    numbers = Counter(row["number"] for part in parts for row in part[0])
    assert numbers == Counter(range(1_000))
    for part_rows, part_labels in parts:
        assert Counter(part_labels)["yes"] == pytest.approx(len(part_rows) / 4, abs=1)


def test_metrics_of_a_known_answer() -> None:
    """Binary metrics speak of the positive class, those of three classes are macro means."""
    binary = measure(
        DIABETES.schema,
        ([{}] * 4, [1, 1, 0, 0]),
        np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]]),
    )
    assert binary["accuracy"] == binary["precision"] == binary["recall"] == 0.5
    assert binary["roc_auc"] == 0.5
    assert binary["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.4]).mean())
    classes = measure(IRIS.schema, ([{}] * 3, list(IRIS.schema.classes)), np.eye(3)[[0, 1, 1]])
    assert classes["recall"] == pytest.approx(2 / 3)
    assert classes["precision"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_manifest_holds_what_is_promised(iris: Artefact) -> None:
    """The manifest carries identity, data, rule, metrics, sizes, versions and hashes."""
    manifest = json.loads((iris.path / "artefact.json").read_text(encoding="utf-8"))
    assert manifest["schema_version"] == 1
    assert manifest["use_case"] == "iris"
    assert manifest["seed"] == 7
    assert "with replacement from the reference rows" in manifest["sampling"]
    assert set(manifest["files"]) == {"model.onnx", "pool.jsonl", "reference.jsonl"}
    assert {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"} <= set(
        manifest["metrics"]
    )
    assert {"python", "scikit-learn", "onnxruntime", "skl2onnx"} <= set(manifest["libraries"])
    assert datetime.fromisoformat(manifest["created"]).utcoffset() is not None


def test_bad_settings(tmp_path: Path) -> None:
    """A forest without trees and a negative seed are refused in one line."""
    with pytest.raises(DomainError, match="at least one tree"):
        TrainingOptions(trees=0)
    with pytest.raises(DomainError, match="seed must be 0 or more, not -1"):
        train(IRIS, None, -1, tmp_path / "model")


def test_metrics_of_a_model_that_is_sure() -> None:
    """Sums in single precision reach beyond 1, and the rest below 0: the metrics bear it."""
    scores = np.array([[-1.2e-7, 1.00000012], [1.00000012, -1.2e-7]], np.float32)
    values = measure(DIABETES.schema, ([{}, {}], [1, 0]), scores)
    assert values["accuracy"] == 1.0
    assert values["log_loss"] == pytest.approx(0.0, abs=1e-6)


def test_a_regression_predicts_numbers(tmp_path: Path) -> None:
    """The export answers as the forest does; reference rows hold numbers without probabilities."""
    artefact = train(PROGRESSION, None, 1, tmp_path / "model")
    assert artefact.schema.regression
    assert artefact.schema == load_artefact(artefact.path).schema
    assert artefact.metrics["onnx_agreement"] == 1.0
    assert artefact.metrics["mae"] < artefact.metrics["rmse"] < 60
    assert 0.3 < artefact.metrics["r2"] < 0.8
    rows = list(artefact.reference())
    assert {len(rows), artefact.splits["reference"]} == {155}
    outputs = OnnxSession(artefact.model_file).outputs(
        encode(artefact.schema, [row.features for row in rows])
    )
    answers = decode(artefact.schema, outputs)
    assert [answer.text for answer in answers] == [row.prediction for row in rows]
    assert [float(row.prediction) for row in rows] == outputs[:, 0].tolist()
    assert {(row.probability, len(row.probabilities)) for row in rows} == {(0.0, 0)}
    # Stratified: the reference's numbers are those of the whole, within a tenth of their range.
    assert np.mean([float(row.label) for row in rows]) == pytest.approx(152.1, abs=5)


def test_a_number_that_is_not_finite_is_no_answer() -> None:
    """JSON can't carry it."""
    with pytest.raises(DomainError, match="not finite"):
        decode(PROGRESSION.schema, np.array([[1.0], [np.nan]]))


def test_successor_is_trained_on_the_given_rows_and_fits_in(
    synthetic: Artefact, tmp_path: Path, small: TrainingOptions
) -> None:
    """Schema, name and classes are the champion's; rows, source and rule are those given."""
    assert DIABETES.generator
    rows, labels = DIABETES.generator.sample(np.random.default_rng(5), 400)
    turned: list[Label] = [1 - int(label) for label in labels]
    held = rows[300:], turned[300:]
    splits = TrainingData(
        (rows[:300], turned[:300]), held, held, {"kind": "log", "name": "test"}, synthetic=True,
        sampling="the newest are held out",
    )  # fmt: skip
    made = train_again(tmp_path / "store", synthetic, splits, 1, small)
    assert load_artefact(tmp_path / "store" / f"diabetes-{made.version}") == made
    assert (made.schema, made.name) == (synthetic.schema, synthetic.name)
    assert made.version != synthetic.version
    assert (made.source, made.sampling) == (splits.source, splits.sampling)
    assert [row.label for row in made.reference()] == [str(label) for label in turned[300:]]
    assert made.metrics["accuracy"] > 0.5
