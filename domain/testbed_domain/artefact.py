"""The model artefact: a directory that proves what it holds; standard library only.

| file | content |
|---|---|
| ``artefact.json`` | identity, schema, metrics, versions, SHA-256 of every other file |
| ``model.onnx`` | the model, see :mod:`testbed_domain.encoding`; not of a service of others |
| ``model.skops`` | the model as scikit-learn has it; only where that was asked for |
| ``reference.jsonl`` | reference rows as the model itself scores them |
| ``pool.jsonl`` | rows that traffic is drawn from; only where the data is a data set |
| ``features.db`` | rows by id, see :mod:`testbed_domain.featuretable`; only where rows have ids |

Nothing is pickled, and a file whose hash differs is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from testbed_domain.errors import DomainError
from testbed_domain.features import FeatureSchema, Label, Row
from testbed_domain.files import open_regular, read_regular
from testbed_domain.jsonlines import parse_line
from testbed_domain.shallow import shallow_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "artefact.json"
MODEL: Final = "model.onnx"
REFERENCE: Final = "reference.jsonl"
POOL: Final = "pool.jsonl"
FEATURES: Final = "features.db"
SKOPS: Final = "model.skops"
FOREST: Final = "rf"
"""What the version of a trained model begins with."""
SERVED: Final = "served"
"""What the version of a model begins with that was not trained here."""

LabelledRow: TypeAlias = tuple[Row, Label]


class ArtefactError(DomainError):
    """The artefact is missing, foreign or changed."""


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One reference row, as in the log's ``reference_rows``.

    Attributes:
        features: feature name to value.
        prediction: predicted class or number, as text.
        probability: probability of the predicted class; 0 of a number, which has none.
        probabilities: class, as text, to probability; empty of a number.
        label: true class or number, as text.
    """

    features: Row
    prediction: str
    probability: float
    probabilities: dict[str, float]
    label: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """One trained model with all that its monitoring needs.

    Attributes:
        path: the directory.
        name: model name.
        version: hash of the content; equal content has an equal version.
        use_case: name of the use case.
        created: UTC time of training, ISO 8601.
        seed: seed of split, generator and model.
        synthetic: whether the data comes from a generator.
        source: where the data comes from: ``kind``, ``name``, and ``sha256`` or ``formula``.
        sampling: how reference and traffic are drawn, in words.
        schema: inputs, target and classes.
        metrics: metrics on the test split.
        splits: number of rows per split.
        libraries: library to version.
        files: file name to SHA-256, of every file but the manifest.
    """

    path: Path
    name: str
    version: str
    use_case: str
    created: str
    seed: int
    synthetic: bool
    source: Mapping[str, str]
    sampling: str
    schema: FeatureSchema
    metrics: Mapping[str, float]
    splits: Mapping[str, int]
    libraries: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def model_file(self) -> Path:
        """The ONNX model."""
        return self.path / MODEL

    @property
    def has_model(self) -> bool:
        """Whether the model is in it, or only its service has it."""
        return MODEL in self.files

    def reference(self) -> Iterator[ReferenceRow]:
        """The scored reference rows."""
        for item in _lines(self.path / REFERENCE):
            yield ReferenceRow(**item)

    def pool(self) -> Iterator[LabelledRow]:
        """Rows and labels that traffic is drawn from; none where a generator makes it."""
        if POOL in self.files:
            for item in _lines(self.path / POOL):
                yield item["features"], item["label"]

    def manifest(self) -> dict[str, Any]:
        """Content of ``artefact.json``."""
        data = asdict(self)
        del data["path"]
        return {"schema_version": SCHEMA_VERSION, **data}


def load_artefact(path: Path) -> Artefact:
    """Read an artefact and verify every file of it.

    Raises:
        ArtefactError: a file is missing or changed, or another version wrote the artefact; names
            the file.
    """
    manifest = _read_manifest(path)
    try:
        del manifest["schema_version"]
        manifest["schema"] = FeatureSchema.from_dict(manifest["schema"])
        artefact = Artefact(path=path, **manifest)
        kind = artefact.version.rpartition("-")[0]
        version = content_version(artefact.use_case, artefact.schema, artefact.files, kind)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path / MANIFEST} is damaged ({error}); train again") from error
    for name, expected in artefact.files.items():
        if Path(name).name != name:
            raise ArtefactError(f"{path / MANIFEST} names a file outside it: {name!r}")
        if file_hash(path / name) != expected:
            raise ArtefactError(f"{path / name} differs from its hash in {MANIFEST}; train again")
    if version != artefact.version or not (artefact.has_model or kind == SERVED):
        raise ArtefactError(f"{path / MANIFEST} does not fit its version; train again")
    return artefact


def content_version(
    use_case: str, schema: FeatureSchema, files: Mapping[str, str], kind: str = FOREST
) -> str:
    """Version of a model: a hash over schema and files, so that nothing can change under it."""
    content = {"use_case": use_case, "schema": schema.to_dict(), "files": dict(files)}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{kind}-{digest[:12]}"


def write_manifest(artefact: Artefact) -> None:
    """Write ``artefact.json``, the last file of an artefact."""
    text = json.dumps(artefact.manifest(), indent=2)
    (artefact.path / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def served_elsewhere(
    artefact: Artefact,
    folder: Path,
    name: str,
    reference: Sequence[ReferenceRow],
    files: Mapping[str, Path] | None = None,
) -> Artefact:
    """The artefact of a model that was not trained here: the same rows, as it predicts them.

    Args:
        artefact: gives schema and rows.
        folder: to write into; must not exist.
        name: of the model.
        reference: the reference rows that the model was asked about.
        files: file name to where it is now, of the model's own files; none where only a service
            has it.

    Raises:
        ArtefactError: the folder can't be written.
    """
    try:
        folder.mkdir(parents=True)
        for own, path in (files or {}).items():
            shutil.copyfile(path, folder / own)
        (folder / REFERENCE).write_text(
            "".join(f"{json.dumps(shallow_dict(row), allow_nan=False)}\n" for row in reference),
            encoding="utf-8",
        )
        if POOL in artefact.files:
            shutil.copyfile(artefact.path / POOL, folder / POOL)
        hashes = {file.name: file_hash(file) for file in sorted(folder.iterdir())}
        right = sum(row.prediction == row.label for row in reference)
        made = replace(
            artefact,
            path=folder,
            name=name,
            version=content_version(artefact.use_case, artefact.schema, hashes, SERVED),
            metrics={} if artefact.schema.regression else {"accuracy": right / len(reference)},
            splits={**artefact.splits, "reference": len(reference)},
            files=hashes,
        )
        write_manifest(made)
    except OSError as error:
        raise ArtefactError(f"cannot write {folder}: {error.strerror}") from error
    return made


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        ArtefactError: the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}") from error


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        manifest = json.loads(read_regular(file))
    except FileNotFoundError:
        raise ArtefactError(f"no model artefact at {path}: train one, testbed train") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"cannot read {file}: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise ArtefactError(
            f"{file} has schema version {version!r}, this program reads {SCHEMA_VERSION}; "
            "train again"
        )
    return dict(manifest)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with open_regular(path) as file:
        for line in file:
            yield parse_line(line)
