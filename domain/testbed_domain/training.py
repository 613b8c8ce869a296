"""Training: from data to artefact.

The model that is kept is the ONNX export, once it has shown that it agrees with scikit-learn on
the test split; metrics and reference scores come from it too, so they are what the API answers.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.model_selection import train_test_split

from testbed_domain.artefact import (
    FEATURES,
    MANIFEST,
    MODEL,
    POOL,
    REFERENCE,
    SKOPS,
    Artefact,
    ReferenceRow,
    content_version,
    file_hash,
    write_manifest,
)
from testbed_domain.artefactstore import install
from testbed_domain.dataset import read_bundled, read_file
from testbed_domain.encoding import decode, fitted, width
from testbed_domain.errors import DomainError
from testbed_domain.featuretable import write_table
from testbed_domain.forests import check, export, fit, measure, scorer
from testbed_domain.sampling import GENERATOR_RULE, POOL_RULE, random_state, random_stream
from testbed_domain.shallow import shallow_dict
from testbed_domain.skopsfile import skops_bytes
from testbed_domain.tables.reading import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from testbed_domain.features import FeatureSchema, Label, Row
    from testbed_domain.forests import Scores
    from testbed_domain.use_cases import Sample, UseCase

LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")
RATIOS: Final = {"train": 0.50, "test": 0.15, "reference": 0.35}
_TENTHS: Final = 10


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Size of the forest, of the splits that a generator is asked for; whether to write skops.

    ``reading`` is what the user says of how to read the data file.
    """

    trees: int = 100
    depth: int = 10
    train_rows: int = 5_000
    test_rows: int = 1_500
    reference_rows: int = 5_000
    skops: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if min(self.trees, self.depth) < 1:
            raise DomainError("a forest needs at least one tree, of depth 1 or more")


DEFAULTS: Final = TrainingOptions()


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Three splits, where they come from, whether a generator made them, and rows by id.

    ``sampling`` says how they were drawn, where that is neither generator nor pool.
    """

    train: Sample
    test: Sample
    reference: Sample
    source: Mapping[str, str]
    synthetic: bool
    entities: Sequence[tuple[str, Row]] = ()
    sampling: str | None = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


def train(
    use_case: UseCase,
    data: Path | None,
    seed: int,
    out: Path,
    options: TrainingOptions = DEFAULTS,
    *,
    clock: Callable[[], datetime] = _utc_now,
) -> Artefact:
    """Train a random forest and put its artefact at ``out``; equal input gives an equal version.

    ``out`` holds either the old or the whole new artefact. Where it already holds the same
    version, it stays untouched.

    Args:
        use_case: what to learn.
        data: CSV or Parquet file; None takes the generator, or else the bundled data set.
        seed: seed of generator, split and forest; 0 or more.
        out: the artefact's directory; made where it is missing.
        options: size of forest and splits.
        clock: the time of training, UTC.

    Raises:
        DataError: the data cannot be used.
        DomainError: ``out`` is something else, or the export disagrees with scikit-learn.
    """
    if out.exists() and not (out / MANIFEST).exists() and (out.is_file() or any(out.iterdir())):
        raise DomainError(f"{out} exists and is not a model artefact; choose another directory")
    splits = _load(use_case, data, seed, options)
    schema = fitted(use_case.schema, splits.train[0])
    with _built(out.parent, use_case.name, schema, splits, seed, options, clock()) as artefact:
        return install(artefact, out)


def train_into(
    store: Path,
    use_case: UseCase,
    data: Path | None,
    seed: int,
    options: TrainingOptions = DEFAULTS,
) -> Artefact:
    """Train as :func:`train` does, into a directory of ``store`` that the version names.

    No model ever replaces another there, so a running service keeps its own.
    """
    splits = _load(use_case, data, seed, options)
    schema = fitted(use_case.schema, splits.train[0])
    with _built(store, use_case.name, schema, splits, seed, options, _utc_now()) as artefact:
        return install(artefact, store / f"{use_case.name}-{artefact.version}")


def train_again(
    store: Path,
    champion: Artefact,
    splits: TrainingData,
    seed: int,
    options: TrainingOptions = DEFAULTS,
) -> Artefact:
    """Train on other rows a model that can take a champion's place: schema and encoding are its.

    Args:
        store: folder of artefacts, see :func:`train_into`.
        champion: whose place.
        splits: rows; no row of the reference should be one of the training.
        seed: seed of the forest; 0 or more.
        options: size of the forest.

    Raises:
        DomainError: the store can't be written to, or the export disagrees with scikit-learn.
    """
    name, now = champion.use_case, _utc_now()
    with _built(store, name, champion.schema, splits, seed, options, now) as artefact:
        return install(artefact, store / f"{name}-{artefact.version}")


@contextmanager
def _built(
    parent: Path,
    use_case: str,
    schema: FeatureSchema,
    splits: TrainingData,
    seed: int,
    options: TrainingOptions,
    created: datetime,
) -> Iterator[Artefact]:
    """A finished artefact in a temporary directory of ``parent``."""
    state = random_state(seed, "forest")
    forest = fit(schema, splits.train, state, options.trees, options.depth)
    model = export(forest, width(schema))
    scores = scorer(model, schema)
    quality = check(forest, schema, splits.test, scores)
    quality |= measure(schema, splits.test, scores(splits.test))

    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{use_case}.", dir=parent))
    except OSError as error:
        raise DomainError(f"cannot write to {parent}: {error.strerror}") from error
    try:
        temporary.chmod(0o755)  # mkdtemp hides it from others, such as the API's user
        _write_files(temporary, schema, splits, model, scores)
        if options.skops:
            (temporary / SKOPS).write_bytes(skops_bytes(forest))
        files = {file.name: file_hash(file) for file in sorted(temporary.iterdir())}
        artefact = Artefact(
            path=temporary,
            name=f"{use_case}-forest",
            version=content_version(use_case, schema, files),
            use_case=use_case,
            created=created.isoformat(timespec="seconds"),
            seed=seed,
            synthetic=splits.synthetic,
            source=splits.source,
            sampling=splits.sampling or (GENERATOR_RULE if splits.synthetic else POOL_RULE),
            schema=schema,
            metrics=quality,
            splits={name: len(getattr(splits, name)[0]) for name in RATIOS},
            libraries={"python": platform.python_version()}
            | {name: library_version(name) for name in LIBRARIES},
            files=files,
        )
        write_manifest(artefact)
        yield artefact
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(
    use_case: UseCase, data: Path | None, seed: int, options: TrainingOptions
) -> TrainingData:
    generator = use_case.generator
    if data is None and generator is not None:
        train_, test, reference = (
            generator.sample(random_stream(seed, name), rows)
            for name, rows in (
                ("train", options.train_rows),
                ("test", options.test_rows),
                ("reference", options.reference_rows),
            )
        )
        source = {"kind": "generator", "name": use_case.name, "formula": generator.formula}
        keys: list[str] = []
        if generator.keys is not None:
            keys = generator.keys(random_stream(seed, "keys"), len(reference[0]))
        entities = list(zip(keys, reference[0], strict=False))
        return TrainingData(train_, test, reference, source, synthetic=True, entities=entities)
    found = read_bundled(use_case) if data is None else read_file(use_case, data, options.reading)
    parts = _split((found.rows, found.labels), seed)
    entities = list(zip(found.keys, found.rows, strict=False))
    return TrainingData(*parts, found.source, synthetic=False, entities=entities)


def _split(sample: Sample, seed: int) -> tuple[Sample, Sample, Sample]:
    """Train, test and reference by :data:`RATIOS`, stratified, in the data's order."""
    rows, labels = sample
    texts = _strata(labels)
    state = random_state(seed, "split")
    first, rest = train_test_split(
        np.arange(len(rows)), train_size=RATIOS["train"], stratify=texts, random_state=state
    )
    ratio = RATIOS["test"] / (RATIOS["test"] + RATIOS["reference"])
    second, third = train_test_split(
        rest, train_size=ratio, stratify=texts[rest], random_state=state
    )

    def pick(indices: np.ndarray[Any, Any]) -> Sample:
        order = sorted(indices.tolist())
        return [rows[i] for i in order], [labels[i] for i in order]

    return pick(first), pick(second), pick(third)


def _strata(labels: Sequence[Label]) -> np.ndarray[Any, Any]:
    """Of each row the class, or the tenth of the numbers that its own belongs to."""
    if isinstance(labels[0], float):
        order = np.argsort(np.argsort(np.array(labels), kind="stable"), kind="stable")
        return order * _TENTHS // len(labels)
    return np.array([str(label) for label in labels])


def _write_files(
    path: Path, schema: FeatureSchema, splits: TrainingData, model: bytes, scores: Scores
) -> None:
    """Write all of the artefact but its manifest."""
    rows, labels = splits.reference
    (path / MODEL).write_bytes(model)
    answers = decode(schema, scores(splits.reference))
    reference = (
        ReferenceRow(
            row,
            answer.text,
            answer.probability or 0.0,
            answer.probabilities,
            str(label),
        )
        for row, label, answer in zip(rows, labels, answers, strict=True)
    )
    _write_lines(path / REFERENCE, map(shallow_dict, reference))
    if not splits.synthetic:
        pool = zip(rows, labels, strict=True)
        _write_lines(path / POOL, ({"features": row, "label": label} for row, label in pool))
    if splits.entities:
        write_table(path / FEATURES, splits.entities)


def _write_lines(path: Path, items: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(item)}\n" for item in items)
