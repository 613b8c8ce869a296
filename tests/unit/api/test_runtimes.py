"""The runtimes beside ONNX, on really trained models."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_api.errors import SettingsError
from testbed_api.serving.runtime import ModelError, OnnxRuntime
from testbed_api.serving.runtimes import CallableRuntime, MlflowRuntime, SkopsRuntime, runtime_maker
from testbed_api.settings import ApiSettings
from testbed_domain.artefact import SKOPS, Artefact, file_hash
from testbed_domain.encoding import encode

if TYPE_CHECKING:
    from testbed_api.serving.runtime import ModelRuntime


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small forest that holds its scikit-learn model too."""
    return _train(tmp_path_factory.mktemp("forest") / "model")


def _train(out: Path) -> Artefact:
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    if importlib.util.find_spec("skops") is None:
        pytest.skip("skops is an extra and not installed")
    options = TrainingOptions(10, 4, train_rows=300, test_rows=100, reference_rows=50, skops=True)
    return train(get_use_case("diabetes"), None, 1, out, options)


def _rows(artefact: Artefact) -> np.ndarray:
    return encode(artefact.schema, [row.features for row in artefact.reference()])


def _agree(artefact: Artefact, runtime: ModelRuntime) -> None:
    """Another runtime answers as ONNX does."""
    onnx = OnnxRuntime(artefact)
    onnx.load()
    runtime.load()
    rows = _rows(artefact)
    assert np.allclose(runtime.predict(rows), onnx.predict(rows), atol=1e-5)
    assert runtime.predict(rows).dtype == np.float32


def test_scikit_learn_answers_as_its_export_does(forest: Artefact) -> None:
    """The model that skops loads is the one that was exported."""
    _agree(forest, SkopsRuntime(forest))


def test_same_training_gives_the_same_skops_file(forest: Artefact, tmp_path: Path) -> None:
    """No time and no memory address is in it, so the version says what the model is."""
    again = _train(tmp_path / "model")
    assert again.files == forest.files
    assert again.version == forest.version


def test_changed_skops_file_is_never_opened(forest: Artefact, tmp_path: Path) -> None:
    """The hash is looked at first."""
    (tmp_path / SKOPS).write_bytes((forest.path / SKOPS).read_bytes() + b"x")
    with pytest.raises(ModelError, match="hash"):
        SkopsRuntime(dataclasses.replace(forest, path=tmp_path)).load()


def test_types_that_no_forest_needs_are_refused(forest: Artefact, tmp_path: Path) -> None:
    """A file with the right hash may still hold what must not be run."""
    from skops.io import dump  # noqa: PLC0415 - an extra

    dump({"model": Path}, tmp_path / SKOPS)
    files = {SKOPS: file_hash(tmp_path / SKOPS)}
    with pytest.raises(ModelError, match=r"not trusted.*Path"):
        SkopsRuntime(dataclasses.replace(forest, path=tmp_path, files=files)).load()


def test_artefact_without_skops_says_how_to_get_it(forest: Artefact, tmp_path: Path) -> None:
    """Not every model was exported so."""
    with pytest.raises(ModelError, match="--skops"):
        SkopsRuntime(dataclasses.replace(forest, path=tmp_path)).load()


def glucose(artefact: Artefact) -> Any:  # noqa: ANN401 - any function may be a model
    """A model of one line, for the tests below."""
    column = artefact.schema.names.index("Glucose")

    def predict(rows: np.ndarray) -> np.ndarray:
        return (rows[:, column] > 127).astype(int)

    return predict


def wide(artefact: Artefact) -> Any:  # noqa: ANN401 - the same
    """A model of another schema."""
    del artefact
    return lambda rows: np.zeros((len(rows), 7))


def broken(artefact: Artefact) -> Any:  # noqa: ANN401 - the same
    """A model that can't be made."""
    raise RuntimeError(f"no licence for {artefact.name}")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """This file as a module that an entry point can name."""
    name = "models_of_the_user"
    (tmp_path / f"{name}.py").write_text(Path(__file__).read_text())
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_callable_is_a_model(forest: Artefact, importable: str) -> None:
    """A function that answers with classes serves like any other model."""
    runtime = CallableRuntime(forest, f"{importable}:glucose")
    runtime.load()
    row = {feature.name: feature.example for feature in forest.schema.features}
    rows = encode(forest.schema, [row | {"Glucose": 100}, row | {"Glucose": 180}])
    assert runtime.predict(rows).tolist() == [[1, 0], [0, 1]]


def test_callable_is_found_by_its_entry_point(
    forest: Artefact, importable: str, tmp_path: Path
) -> None:
    """A package that declares it in ``testbed.models`` is named by that name."""
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[testbed.models]\nmine = {importable}:glucose\n")
    CallableRuntime(forest, "mine").load()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (":wide", r"\[2, 2\] of the classes .*returned \[2, 7\]"),
        (":broken", "no licence"),
        (":nothing", "cannot load"),
        ("", "no entry point"),
    ],
)
def test_callable_that_is_no_model_is_one_line(
    forest: Artefact, importable: str, function: str, message: str
) -> None:
    """Wrong shape, error, missing: each is said before the service gets ready."""
    with pytest.raises(ModelError, match=message):
        CallableRuntime(forest, f"{importable}{function}").load()


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow would rather infer a signature
@pytest.mark.parametrize("signature", [True, False])
@pytest.mark.slow
def test_mlflow_model_answers(forest: Artefact, tmp_path: Path, *, signature: bool) -> None:
    """A model saved by MLflow is served by its URI, with named columns or as a tensor."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is an extra and not installed")
    from mlflow.models import ModelSignature  # noqa: PLC0415 - an extra
    from mlflow.types import ColSpec, DataType, Schema  # noqa: PLC0415 - the same

    names = forest.schema.names

    class Glucose(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined] # no types
        """Looks at one column."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401 - MLflow's interface
            """See MLflow."""
            del context, params
            found = model_input["Glucose"] if signature else model_input[:, 1]
            positive = (np.asarray(found) > 127).astype(float)
            return np.stack([1 - positive, positive], axis=1)

    columns: list[Any] = [
        ColSpec(DataType.long if feature.kind == "integer" else DataType.double, feature.name)
        for feature in forest.schema.features
    ]
    mlflow.pyfunc.save_model(
        str(tmp_path / "model"),
        python_model=Glucose(),
        signature=ModelSignature(Schema(columns)) if signature else None,
        pip_requirements=[],
    )
    runtime = MlflowRuntime(forest, (tmp_path / "model").as_uri())
    runtime.load()
    rows = _rows(forest)
    expected = rows[:, names.index("Glucose")] > 127
    assert (runtime.predict(rows).argmax(axis=1) == expected).all()


def test_mlflow_model_that_is_missing_is_one_line(forest: Artefact, tmp_path: Path) -> None:
    """The URI is named."""
    pytest.importorskip("mlflow", reason="mlflow is an extra and not installed")
    with pytest.raises(ModelError, match="nothing"):
        MlflowRuntime(forest, str(tmp_path / "nothing")).load()


def test_setting_chooses_the_runtime(forest: Artefact) -> None:
    """Each name has its runtime; those that need a model's name say so."""

    def chosen(**settings: Any) -> ModelRuntime:  # noqa: ANN401 - any of ApiSettings
        return runtime_maker(ApiSettings(artefact=forest.path, **settings))(forest)

    assert isinstance(chosen(), OnnxRuntime)
    assert isinstance(chosen(runtime="scikit-learn"), SkopsRuntime)
    assert isinstance(chosen(runtime="python", model="a:b"), CallableRuntime)
    assert isinstance(chosen(runtime="mlflow", model="models:/m/1"), MlflowRuntime)
    with pytest.raises(SettingsError, match="TESTBED_API_MODEL"):
        chosen(runtime="mlflow")
