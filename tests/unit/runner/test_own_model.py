"""A model of one's own: what it may be, what it is given, what its breaches of contract say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.owndata import OwnData
from testbed.ownmodel import OwnModel, base_artefact, place_model, require_use_case
from testbed.scenario import read_scenario
from testbed_api.serving.contract import require_answer
from testbed_api.serving.runtime import ModelError, OnnxRuntime
from testbed_api.serving.runtimes import CallableRuntime
from testbed_domain.artefact import MODEL, Artefact, load_artefact
from testbed_domain.columns import columns, example_batch
from testbed_domain.encoding import encode
from testbed_domain.onnxsession import OnnxSession
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[3] / "docs/how-to/own-model.md"
SMALL = TrainingOptions(5, 3, train_rows=300, test_rows=100, reference_rows=60)
SCENARIOS = Path(__file__).parents[3] / "scenarios"


def trained(tmp_path_factory: pytest.TempPathFactory, name: str) -> Artefact:
    """A small model of a use case."""
    return train(get_use_case(name), None, 1, tmp_path_factory.mktemp(name) / "model", SMALL)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """Numbers only, three classes of text."""
    return trained(tmp_path_factory, "iris")


@pytest.fixture(scope="module")
def titanic(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """Categories, and numbers that may be missing."""
    return trained(tmp_path_factory, "titanic")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules that the how-to page shows."""
    folder = tmp_path_factory.mktemp("page")
    good, bad = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "mymodels.py").write_text(good, encoding="utf-8")
    (folder / "broken.py").write_text(bad, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["threshold", "by_name", "Loaded", "forest"])
def test_models_of_the_page_predict(
    iris: Artefact, page: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each form of a Python model that the page shows is one, and knows setosa."""
    monkeypatch.syspath_prepend(page)
    runtime = CallableRuntime(iris, f"mymodels:{name}")
    runtime.load()
    rows = [row for row in iris.reference() if row.label == "setosa"]
    found = runtime.predict(encode(iris.schema, [row.features for row in rows]))
    assert found.shape == (len(rows), 3)
    assert set(found.argmax(axis=1)) == {0}


def test_breaches_of_the_page_say_what_stands_there(
    iris: Artefact, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word."""
    monkeypatch.syspath_prepend(page)
    table = re.findall(r"^\| `(broken:\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(table) > 5
    for name, said in table:
        with pytest.raises(ModelError) as caught:
            CallableRuntime(iris, name).load()
        assert str(caught.value) == said


@pytest.mark.slow
def test_reference_is_what_the_model_predicts(
    iris: Artefact, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the program that serves it; the artefact of the run holds no other model."""
    monkeypatch.chdir(page)
    layout = RunLayout(tmp_path / "run").create()
    said: list[str] = []
    found = place_model(OwnModel.parse("mymodels:threshold"), iris, layout, said.append)
    assert found == load_artefact(layout.model)
    assert found.version.startswith("served-")
    assert not found.has_model
    assert {row.prediction for row in found.reference()} == {"setosa", "virginica"}
    assert [r.features for r in found.reference()] == [r.features for r in iris.reference()]
    assert {path.name for path in layout.root.glob("own-model*")} == set()
    assert said == ["model: asking mymodels:threshold about the reference rows"]


def test_model_that_breaks_its_contract_ends_before_the_run(
    iris: Artefact, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, which names what was given."""
    monkeypatch.chdir(page)
    layout = RunLayout(tmp_path / "run").create()
    with pytest.raises(UsageError, match=r"^--model broken:strange: .* and returned tulip$"):
        place_model(OwnModel.parse("broken:strange"), iris, layout, lambda _: None)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys\nsys.exit(0)", "the model ended its process (SystemExit: 0)"),
        ("import os\nos._exit(0)", "it ended its process before it was asked"),
        ("raise RuntimeError('first\\nsecond')", "cannot load ending:model: first second"),
        (
            "def model(rows):\n    raise SystemExit(3)",
            "the model ended its process (SystemExit: 3)",
        ),
    ],
)
def test_model_that_ends_its_process_is_one_sentence(
    iris: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    """Also with exit code 0; of a message of several lines, all of it is said."""
    (tmp_path / "ending.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    layout = RunLayout(tmp_path / "run").create()
    with pytest.raises(UsageError, match=rf"^--model ending:model: .*{re.escape(said)}$"):
        place_model(OwnModel.parse("ending:model"), iris, layout, lambda _: None)


def test_forms_of_a_model(iris: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is known by its look; a pickle is never opened."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "a.skops", "a.joblib", "a.txt", "logged/MLmodel", "empty/x"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    runtimes = {
        "a.onnx": "onnx",
        "a.skops": "scikit-learn",
        "shop.models:best": "python",
        "logged": "mlflow",
        "mlflow:models:/churn/3": "mlflow",
        str(iris.path): "onnx",
    }
    assert {text: OwnModel.parse(text).runtime for text in runtimes} == runtimes
    assert OwnModel.parse("logged").model == (tmp_path / "logged").as_uri()
    refused = {
        "a.joblib": "skops.io.dump",
        "a.txt": "not a model file",
        "empty": "neither artefact.json",
        "missing.onnx": "nothing like that",
        "mlflow:missing": "no folder missing",
    }
    for text, why in refused.items():
        with pytest.raises(UsageError, match=why):
            OwnModel.parse(text)


def test_artefact_brings_its_use_case_and_its_reference(iris: Artefact) -> None:
    """Nothing is trained for it; with other data it is asked about these."""
    own = OwnModel.parse(str(iris.path))
    assert require_use_case(own, None, None, "diabetes") == "iris"
    assert base_artefact(own, OwnData()) == iris
    assert base_artefact(own, OwnData(Path("mine.csv"))) is None
    with pytest.raises(UsageError, match="of the use case iris, not of churn"):
        require_use_case(own, "churn", None, "churn")


def test_second_model_of_a_runtime_without_one_is_refused() -> None:
    """A challenger would be the same function under another name."""
    scenario = read_scenario(SCENARIOS / "version-unwatched.yaml")
    with pytest.raises(UsageError, match="second model"):
        OwnModel.parse("shop:best").refuse(scenario)
    OwnModel("x.onnx", "onnx", "x").refuse(scenario)


def test_encoded_rows_come_back_as_columns(titanic: Artefact) -> None:
    """What was sent, up to the precision of float32."""
    rows = [row.features for row in titanic.reference()]
    found = columns(titanic.schema, encode(titanic.schema, rows))
    for feature in titanic.schema.features:
        sent = [row[feature.name] for row in rows]
        back = found[feature.name].tolist()
        if feature.kind == "category":
            assert back == sent
        else:
            expected = [np.nan if value is None else value for value in sent]
            assert np.allclose(back, np.array(expected, float), rtol=1e-6, equal_nan=True)


def test_unknown_category_is_other(titanic: Artefact) -> None:
    """All zeros are no known value."""
    batch = example_batch(titanic.schema, 1)
    names = columns(titanic.schema, np.zeros_like(batch))
    assert names["Sex"].tolist() == ["other"]


@pytest.mark.slow
def test_skops_pipeline_gets_the_columns_of_its_table(titanic: Artefact, tmp_path: Path) -> None:
    """One that encodes for itself, and was trained on the names of the classes."""
    skops = pytest.importorskip("skops.io", reason="skops is an extra and not installed")
    import pandas as pd  # noqa: PLC0415 - slow
    from sklearn.compose import make_column_transformer  # noqa: PLC0415 - slow
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - slow
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - slow
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 - slow

    rows = list(titanic.reference())
    frame = pd.DataFrame([row.features for row in rows])[["Fare", "Age", "Sex"]]
    for name in set(titanic.schema.names) - set(frame):
        frame[name] = [row.features[name] for row in rows]
    pipeline = make_pipeline(
        make_column_transformer(
            (SimpleImputer(), ["Age", "Fare"]),
            (OneHotEncoder(handle_unknown="ignore"), ["Sex"]),
        ),
        LogisticRegression(max_iter=1000),
    ).fit(frame, [row.label for row in rows])
    skops.dump(pipeline, tmp_path / "mine.skops")
    layout = RunLayout(tmp_path / "run").create()
    own = OwnModel.parse(str(tmp_path / "mine.skops"))
    found = place_model(own, titanic, layout, lambda _: None)
    expected = [str(label) for label in pipeline.predict(frame)]
    assert [row.prediction for row in found.reference()] == expected


def onnx_model(tmp_path: Path, schema_names: list[str], make: Callable[..., Any]) -> Path:
    """A logistic regression as ONNX, with the inputs that ``make`` gives."""
    from skl2onnx import to_onnx  # noqa: PLC0415 - slow
    from sklearn.datasets import load_iris  # noqa: PLC0415 - slow
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow

    data = load_iris()
    model = LogisticRegression(max_iter=500).fit(data.data, data.target)
    graph = make(to_onnx, model, schema_names)
    (tmp_path / "mine.onnx").write_bytes(graph.SerializeToString())
    return tmp_path / "mine.onnx"


def with_one_input(to_onnx: Any, model: Any, _names: list[str]) -> Any:  # noqa: ANN401 - skl2onnx has no types
    """Named as skl2onnx likes."""
    options = {"zipmap": False}
    return to_onnx(model, np.zeros((1, 4), np.float64), options=options)


def with_zipmap(to_onnx: Any, model: Any, _names: list[str]) -> Any:  # noqa: ANN401 - the same
    """Whose probabilities are dictionaries."""
    return to_onnx(model, np.zeros((1, 4), np.float32))


def test_onnx_of_other_names_and_types(iris: Artefact, tmp_path: Path) -> None:
    """The one input is called X and takes doubles; the reference is what it predicts."""
    layout = RunLayout(tmp_path / "run").create()
    path = onnx_model(tmp_path, list(iris.schema.names), with_one_input)
    found = place_model(OwnModel.parse(str(path)), iris, layout, lambda _: None)
    assert MODEL in found.files
    right = sum(row.prediction == row.label for row in found.reference())
    assert right > 0.9 * found.splits["reference"]


def test_onnx_with_zipmap_is_one_sentence(iris: Artefact, tmp_path: Path) -> None:
    """Which says how to export it."""
    path = onnx_model(tmp_path, list(iris.schema.names), with_zipmap)
    layout = RunLayout(tmp_path / "run").create()
    with pytest.raises(UsageError, match=r"must be a tensor \[n, classes\].*without zipmap"):
        place_model(OwnModel.parse(str(path)), iris, layout, lambda _: None)


def test_onnx_by_column(titanic: Artefact) -> None:
    """An input for each column, of its name, takes text as text."""
    import onnx  # noqa: PLC0415 - slow
    from onnx import TensorProto, helper  # noqa: PLC0415 - slow

    kinds = {"category": TensorProto.STRING, "integer": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(
            feature.name, kinds.get(feature.kind, TensorProto.FLOAT), [None, 1]
        )
        for feature in titanic.schema.features
    ]
    text: Any = [b"male"]  # its stubs know numbers only
    male = helper.make_tensor("male", TensorProto.STRING, [1], text)
    nodes = [
        helper.make_node("Constant", [], ["male"], value=male),
        helper.make_node("Equal", ["Sex", "male"], ["is_male"]),
        helper.make_node("Cast", ["is_male"], ["died"], to=TensorProto.FLOAT),
        helper.make_node("Not", ["is_male"], ["is_female"]),
        helper.make_node("Cast", ["is_female"], ["survived"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["died", "survived"], ["probabilities"], axis=1),
    ]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    graph = helper.make_graph(nodes, "rule", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    onnx.checker.check_model(model)
    session = OnnxSession(model.SerializeToString(), schema=titanic.schema)
    rows = [row.features for row in titanic.reference()]
    found = session.outputs(encode(titanic.schema, rows))
    assert [row["Sex"] == "male" for row in rows] == found[:, 0].astype(bool).tolist()


def test_onnx_of_other_columns_is_one_sentence(iris: Artefact, titanic: Artefact) -> None:
    """It names what is taken and what there is."""
    with pytest.raises(ModelError, match=r"takes features \[None, 4\]"):
        OnnxRuntime(Artefact(**{**_fields(titanic), "path": iris.path, "files": iris.files})).load()


def _fields(artefact: Artefact) -> dict[str, Any]:
    return {name: getattr(artefact, name) for name in Artefact.__dataclass_fields__}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([0.2, 0.9], "classes among"),
        ([[0.5, 0.5]], r"returned \[1, 2\]"),
        ([[0.5, 0.6], [0.5, 0.5]], "no probabilities"),
        ([[float("nan"), 0.5], [0.5, 0.5]], "no probabilities"),
        (None, "NoneType"),
        ([["a", "b"], ["a", "b"]], "of <U1"),
    ],
)
def test_answer_that_is_none(answer: object, why: str) -> None:
    """The positive class's probability alone was once taken for the class 0."""
    schema = get_use_case("diabetes").schema
    with pytest.raises(ModelError, match=why):
        require_answer(schema, answer, 2, "mine")


def test_classes_are_put_in_order() -> None:
    """A model whose classes_ are sorted otherwise than the use case's."""
    schema = get_use_case("diabetes").schema
    assert require_answer(schema, [1.0, 0.0], 2, "mine").tolist() == [[0, 1], [1, 0]]
    assert require_answer(schema, [True, False], 2, "mine").tolist() == [[0, 1], [1, 0]]
