"""Models that were trained before, kept for the user: equal input gives an equal model.

Training one takes 5 s of the processor, most of it for imports that a run needs for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import testbed_domain
from testbed_domain.artefact import ArtefactError, file_hash, load_artefact
from testbed_domain.artefactstore import copy_to

from testbed.stack.build import cache_folder

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.tables.reading import ReadOptions
    from testbed_domain.use_cases import UseCase

LIBRARIES: Final = (
    *("numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scikit-learn", "scipy", "skl2onnx"),
)
"""What a model depends on beside our code and the input."""


def folder() -> Path:
    """Where they are kept; anything in it may be removed."""
    return cache_folder() / "models"


def key_of(use_case: UseCase, data: Path | None, seed: int, reading: ReadOptions) -> str | None:
    """Name of all that a model depends on; None where that is not known.

    Args:
        use_case: what is learnt.
        data: the user's own table, or None.
        seed: of data and training.
        reading: how the table is read.
    """
    generator = use_case.generator
    if generator is not None and not generator.sample.__module__.startswith("testbed_domain."):
        return None  # a package's, whose code may be anywhere
    try:
        table = None if data is None else [data.name, file_hash(data)]
    except ArtefactError:
        return None  # training says what is wrong with it
    asked: dict[str, Any] = {
        "use_case": use_case.name,
        "schema": use_case.schema.to_dict(),
        "bundled": [use_case.bundled, dict(use_case.bundled_options)],
        "columns": dict(use_case.columns),
        "labels": dict(use_case.labels),
        "table": table,
        "reading": repr(reading),
        "seed": seed,
        "made_by": _made_by(),
    }
    text = json.dumps(asked, sort_keys=True, default=str)
    return f"{use_case.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def trained_before(key: str | None, store: Path) -> Artefact | None:
    """A model of that key, copied into a folder of models; None where there is none."""
    if key is None:
        return None
    try:
        found = load_artefact(folder() / key)
        return copy_to(found, store / f"{found.use_case}-{found.version}")
    except (ArtefactError, OSError):
        return None  # not there, or damaged: it is trained anew, which says what can't be written


def remember(key: str | None, artefact: Artefact) -> None:
    """Keep a model for later; where the cache can't be written, it is trained again then."""
    if key is None:
        return
    try:
        copy_to(artefact, folder() / key)
    except OSError:
        return


@cache
def _made_by() -> list[str]:
    """Our code, its libraries and the interpreter."""
    code = hashlib.sha256()
    base = Path(str(testbed_domain.__file__)).parent
    for path in sorted(base.rglob("*.py")):
        code.update(f"{path.relative_to(base)}\0".encode() + path.read_bytes())
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    return [code.hexdigest(), *libraries, platform.python_version(), platform.machine()]
