"""A model of one's own, served by the API that comes with the testbed: ``--model``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from testbed_api.options import ENTRY_POINTS
from testbed_domain.artefact import (
    FEATURES,
    MANIFEST,
    MODEL,
    SKOPS,
    Artefact,
    ReferenceRow,
    load_artefact,
    served_elsewhere,
)
from testbed_domain.features import difference

from testbed.errors import UsageError
from testbed.stack.environments import base_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.layout import RunLayout
    from testbed.owndata import OwnData
    from testbed.scenario import Scenario
from testbed.usecasechoice import Say

Runtime = Literal["onnx", "scikit-learn", "python", "mlflow"]
MLFLOW: Final = "mlflow:"
MLMODEL: Final = "MLmodel"
PICKLES: Final = (".joblib", ".pkl", ".pickle", ".sav")
UNSCORED: Final = "own-model"
SCORES: Final = "own-model.jsonl"
_OBJECT: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:")
FORMS: Final = (
    "an artefact folder of testbed train, a file .onnx or .skops, package.module:object, an entry "
    f"point of {ENTRY_POINTS}, or mlflow: and a folder or URI"
)


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model that was not trained for the run.

    Attributes:
        given: what the user wrote.
        runtime: of the API that serves it.
        name: of the model.
        file: of the model, or the folder of its artefact; None where ``model`` says what it is.
        model: entry point, ``package.module:object`` or MLflow URI.
        folder: in which ``package.module`` is looked for first.
    """

    given: str
    runtime: Runtime
    name: str
    file: Path | None = None
    model: str | None = None
    folder: Path = field(default_factory=Path.cwd)

    @classmethod
    def parse(cls, text: str) -> Self:
        """What ``--model`` names.

        Raises:
            UsageError: it is nothing that can be served; says what can be.
        """
        if text.startswith(MLFLOW):
            return cls._of_mlflow(text, text.removeprefix(MLFLOW))
        path = Path(text)
        if (path / MLMODEL).is_file():
            return cls._of_mlflow(text, text)
        if path.is_dir():
            if not (path / MANIFEST).is_file():
                raise UsageError(
                    f"--model {text}: the folder holds neither {MANIFEST} (testbed train) nor "
                    f"{MLMODEL} (MLflow)"
                )
            return cls(text, "onnx", path.name, path.resolve())
        if path.suffix in PICKLES and path.exists():
            raise UsageError(
                f"--model {text}: a pickle runs whatever its writer wants when it is opened, so it "
                "never is: write the model by skops.io.dump to a .skops file, or load it yourself "
                "in a module of yours and give package.module:object"
            )
        if path.is_file():
            kinds: dict[str, Runtime] = {".onnx": "onnx", ".skops": "scikit-learn"}
            if path.suffix not in kinds:
                raise UsageError(f"--model {text}: not a model file; give {FORMS}")
            return cls(text, kinds[path.suffix], path.stem, path.resolve())
        names = {point.name for point in entry_points(group=ENTRY_POINTS)}
        if text in names or _OBJECT.fullmatch(text):
            return cls(text, "python", text.rpartition(":")[2], model=text)
        raise UsageError(f"--model {text}: there is nothing like that; give {FORMS}")

    @classmethod
    def _of_mlflow(cls, given: str, uri: str) -> Self:
        path = Path(uri)
        if path.exists():
            uri = path.resolve().as_uri()
        elif not _SCHEME.match(uri):
            raise UsageError(f"--model {given}: there is no folder {uri}, and it is no URI")
        return cls(given, "mlflow", path.name or "mlflow", model=uri)

    @property
    def is_artefact(self) -> bool:
        """Whether it is a whole artefact, with its schema and reference."""
        return self.file is not None and self.file.is_dir()

    def environment(self) -> dict[str, str]:
        """Variables by which the API serves it."""
        path = os.pathsep.join(filter(None, (str(self.folder), os.environ.get("PYTHONPATH"))))
        found: dict[str, str] = {"TESTBED_API_RUNTIME": self.runtime}
        if self.model is not None:
            found |= {"TESTBED_API_MODEL": self.model, "PYTHONPATH": path}
        return found

    def files(self, trained: Artefact) -> dict[str, Path]:
        """The files of its artefact: name to where they are now."""
        found: dict[str, Path] = {}
        if FEATURES in trained.files:
            found[FEATURES] = trained.path / FEATURES
        if self.file is not None:
            source = self.file / MODEL if self.is_artefact else self.file
            found[SKOPS if self.runtime == "scikit-learn" else MODEL] = source
        return found

    def refuse(self, scenario: Scenario) -> None:
        """A scenario that needs a second model of the same runtime, which nobody has.

        Raises:
            UsageError: it does.
        """
        if self.runtime == "onnx":
            return
        faults = (fault.kind for phase in scenario.phases for fault in phase.faults)
        retrains = scenario.settings.drift.on_retrain == "builtin"
        if retrains or "challenger" in faults:
            raise UsageError(
                f"the scenario {scenario.name} serves a second model beside the first, which the "
                f"runtime {self.runtime} of {self.given} can't: play it with an ONNX model"
            )


def require_use_case(own: OwnModel, named: str | None, target: str | None, default: str) -> str:
    """The use case of a run: that of the artefact where there is one.

    Raises:
        UsageError: another one was named.
    """
    if not own.is_artefact or own.file is None or target is not None:
        return default
    found = load_artefact(own.file).use_case
    if named not in {None, found}:
        raise UsageError(f"the model of {own.given} is of the use case {found}, not of {named}")
    return found


def base_artefact(own: OwnModel, given: OwnData) -> Artefact | None:
    """The artefact that needs no training: it is served as it is; None where rows are wanted."""
    return load_artefact(own.file) if own.is_artefact and own.file and not given.data else None


def place_model(own: OwnModel, trained: Artefact, layout: RunLayout, say: Say) -> Artefact:
    """Put the artefact of one's own model into the run: the rows of ``trained``, as it scores them.

    The model is loaded by the same program, with the same variables, as the service loads it.

    Raises:
        UsageError: it can't be loaded, or breaks its contract; one sentence that says how.
    """
    if own.is_artefact and own.file is not None:
        mine = load_artefact(own.file)
        if differs := difference(mine.schema, trained.schema):
            raise UsageError(f"the model of {own.given} does not fit the data: {differs}")
        trained = replace(trained, schema=mine.schema)  # with the medians that it was trained with
    say(f"model: asking {own.given} about the reference rows")
    unscored = layout.root / UNSCORED
    files = own.files(trained)
    asked = served_elsewhere(trained, unscored, own.name, list(trained.reference()), files)
    rows = _scored(own, asked, layout.root / SCORES)
    shutil.rmtree(unscored)
    (layout.root / SCORES).unlink()
    return served_elsewhere(trained, layout.model, own.name, rows, files)


def _scored(own: OwnModel, asked: Artefact, out: Path) -> list[ReferenceRow]:
    done = subprocess.run(
        [sys.executable, "-m", "testbed_api.scoring", str(out)],
        env=_environment(own.environment(), asked.path),
        cwd=asked.path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise UsageError(f"--model {own.given}: {said[-1].removeprefix('error: ')}")
    if not out.exists():
        raise UsageError(f"--model {own.given}: it ended its process before it was asked")
    with out.open(encoding="utf-8") as lines:
        return list(_rows(lines))


def _rows(lines: Iterable[str]) -> Iterable[ReferenceRow]:
    for line in lines:
        yield ReferenceRow(**json.loads(line))


def _environment(own: dict[str, str], artefact: Path) -> dict[str, str]:
    return base_environment() | own | {"TESTBED_API_ARTEFACT": str(artefact)}
