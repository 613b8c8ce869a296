"""The ONNX runtime, on a really trained artefact."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest
from testbed_api.serving.runtime import ModelError, OnnxRuntime
from testbed_domain.encoding import decode, encode

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact


def test_runtime_answers_as_training_did(small_artefact: Artefact) -> None:
    """Served row by row, the reference rows get the very answers that the artefact holds."""
    runtime = OnnxRuntime(small_artefact)
    runtime.load()
    schema = small_artefact.schema
    for row in list(small_artefact.reference())[:50]:
        (scored,) = decode(schema, runtime.predict(encode(schema, [row.features])))
        assert str(schema.classes[scored.index]) == row.prediction
        assert scored.probability == pytest.approx(row.probability, abs=1e-6)


def test_runtime_must_be_loaded_first(small_artefact: Artefact) -> None:
    """Predicting before loading says so."""
    with pytest.raises(ModelError, match="not loaded"):
        OnnxRuntime(small_artefact).predict(encode(small_artefact.schema, []))


def test_file_that_is_no_model_is_one_line(small_artefact: Artefact, tmp_path: Path) -> None:
    """A damaged model names its file."""
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        OnnxRuntime(dataclasses.replace(small_artefact, path=tmp_path)).load()


def test_model_of_another_schema_is_refused(small_artefact: Artefact, tmp_path: Path) -> None:
    """A model that has other classes than its schema never gets ready."""
    shutil.copy(small_artefact.model_file, tmp_path)
    schema = dataclasses.replace(small_artefact.schema, classes=(0, 1, 2))
    with pytest.raises(ModelError, match="does not fit"):
        OnnxRuntime(dataclasses.replace(small_artefact, path=tmp_path, schema=schema)).load()
