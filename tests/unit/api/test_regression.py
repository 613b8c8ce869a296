"""Serving a model that predicts numbers."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from testbed_api.serving.runtime import ModelError, OnnxRuntime
from testbed_api.serving.runtimes import CallableRuntime, SkopsRuntime
from testbed_api.telemetry.accuracy import AbsoluteErrors
from testbed_domain.artefact import MODEL
from testbed_domain.encoding import INPUT, Scored, encode
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from testbed_api.telemetry.instruments import Instruments
    from testbed_domain.artefact import Artefact

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio

PROGRESSION = get_use_case("progression")
PATIENT = {feature.name: feature.example for feature in PROGRESSION.schema.features}


@pytest.fixture
def artefact(artefact: Artefact) -> Artefact:
    """A model that predicts numbers."""
    return dataclasses.replace(artefact, use_case="progression", schema=PROGRESSION.schema)


@pytest.fixture
async def api(make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """It says the body mass index times 4.5."""
    async with make_api(load=False) as made:
        monkeypatch.setattr(made.runtime, "predict", lambda batch: batch[:, :1] * np.float32(4.5))
        await made.service.load()
        yield made


async def test_a_reply_holds_a_number_and_no_probability(api: Api) -> None:
    """Reply, its description, the log's row and both metrics say the same number."""
    answer = (await api.public.post("/predict", json=PATIENT)).json()
    assert answer["prediction"] == pytest.approx(144.45, abs=1e-4)
    assert not {"probability", "probabilities"} & set(answer)
    described = (await api.public.get("/openapi.json")).json()
    content = described["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = described["components"]["schemas"][name]
    assert set(schema["properties"]) == set(answer)
    jsonschema.validate(answer, {**schema, "components": described["components"]})
    (row,) = api.log.rows
    assert float(row.prediction) == answer["prediction"]
    assert (row.probability, row.probabilities) == (0.0, {})
    assert api.value("ml_predictions_total", model_version="v1") == 1
    assert api.value("ml_prediction_value_sum", model_version="v1") == answer["prediction"]
    assert api.value("ml_prediction_value_bucket", model_version="v1", le="100.0") == 0
    assert api.value("ml_prediction_value_bucket", model_version="v1", le="200.0") == 1
    batch = (await api.public.post("/predict/batch", json={"records": [PATIENT] * 2})).json()
    assert [set(one) for one in batch["predictions"]] == [set(answer)] * 2


@pytest.mark.parametrize("label", ["151", True, None, [1.0]])
async def test_a_label_is_a_number(api: Api, label: object) -> None:
    """Whole or not; what is none is refused."""
    made = (await api.public.post("/predict", json=PATIENT)).json()
    about = {"prediction_id": made["prediction_id"]}
    refused = await api.public.post("/labels", json={**about, "label": label})
    assert refused.status_code == 422
    assert (await api.public.post("/labels", json={**about, "label": 151})).status_code == 200
    assert api.log.labels == {made["prediction_id"]: "151.0"}


async def test_a_number_that_json_lacks_is_an_error_of_the_model(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN is answered with 500, counted, and not logged."""
    monkeypatch.setattr(api.runtime, "predict", lambda batch: batch[:, :1] * np.nan)
    assert (await api.public.post("/predict", json=PATIENT)).status_code == 500
    assert api.errors("model") == 1
    assert api.log.rows == []


async def test_absolute_errors_are_recorded_as_labels_come(
    api: Api, instruments: Instruments, caplog: pytest.LogCaptureFixture
) -> None:
    """Their sum and count are a mean absolute error; classes of older models are named."""
    AbsoluteErrors(instruments).count(
        [("v1", "100.5", "90.0"), ("v1", "-1.0", "1.5"), ("v0", "yes", "no")]
    )
    assert api.value("ml_prediction_absolute_error_sum", model_version="v1") == 13.0
    assert api.value("ml_prediction_absolute_error_count", model_version="v1") == 2
    assert "1 labels belong to predictions that are not numbers" in caplog.text


def test_numbers_agree_where_they_are_close() -> None:
    """Of a shadow: within 1 %; classes must be the same."""
    assert Scored(100.0).agrees(Scored(100.9))
    assert not Scored(100.0).agrees(Scored(102.0))
    assert not Scored("a", 0, 0.5).agrees(Scored("b", 1, 0.5))


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small forest that predicts numbers."""
    skops = importlib.util.find_spec("skops") is not None
    out = tmp_path_factory.mktemp("forest") / "model"
    return train(PROGRESSION, None, 1, out, TrainingOptions(10, 4, skops=skops))


@pytest.mark.slow
def test_runtimes_answer_with_the_same_numbers(forest: Artefact) -> None:
    """scikit-learn by skops answers as its ONNX export does."""
    pytest.importorskip("skops", reason="an extra")
    rows = encode(forest.schema, [row.features for row in forest.reference()])
    onnx, skops = OnnxRuntime(forest), SkopsRuntime(forest)
    onnx.load()
    skops.load()
    assert onnx.predict(rows).shape == (len(rows), 1)
    assert np.allclose(onnx.predict(rows), skops.predict(rows), rtol=1e-4)


def flat(_artefact: Artefact) -> Callable[[np.ndarray], np.ndarray]:
    """A model of the user's that answers with a list of numbers."""
    return lambda batch: batch[:, 0] * 2


def words(_artefact: Artefact) -> Callable[[np.ndarray], list[str]]:
    """A model of the user's that answers with texts."""
    return lambda batch: ["high"] * len(batch)


def test_a_function_answers_with_numbers_or_is_refused(forest: Artefact) -> None:
    """One number for each row; anything else is named when the model is loaded."""
    runtime = CallableRuntime(forest, f"{__name__}:flat")
    runtime.load()
    assert runtime.predict(np.full((3, 10), 2.0, np.float32)).tolist() == [[4.0]] * 3
    with pytest.raises(ModelError, match="must return one number for each of 2 rows"):
        CallableRuntime(forest, f"{__name__}:words").load()


@pytest.mark.parametrize("name", ["linear", "boosted"])
def test_another_kind_of_model_is_served(forest: Artefact, tmp_path: Path, name: str) -> None:
    """A regression of the user's own, whatever its export calls the output."""
    from skl2onnx import convert_sklearn  # noqa: PLC0415 - slow
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415 - slow

    rows = encode(forest.schema, [row.features for row in forest.reference()])
    truth = np.array([float(row.label) for row in forest.reference()])
    kinds: dict[str, Any] = {
        "linear": LinearRegression(),
        "boosted": GradientBoostingRegressor(n_estimators=20, random_state=1),
    }
    model = kinds[name].fit(rows, truth)
    types = [(INPUT, FloatTensorType([None, rows.shape[1]]))]
    graph = convert_sklearn(model, initial_types=types, final_types=[("how_far", types[0][1])])
    (tmp_path / MODEL).write_bytes(graph.SerializeToString())
    runtime = OnnxRuntime(dataclasses.replace(forest, path=tmp_path))
    runtime.load()
    assert np.allclose(runtime.predict(rows)[:, 0], model.predict(rows), rtol=1e-3)
