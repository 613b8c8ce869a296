"""Model artefacts that nobody trained."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from testbed_domain.artefact import Artefact, content_version, load_artefact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_domain.features import FeatureSchema


def described(path: Path, schema: FeatureSchema, **changes: Any) -> Artefact:  # noqa: ANN401 - any field
    """What a model of that schema says about itself; there are no files.

    Args:
        path: where it would lie.
        schema: of its rows.
        changes: other fields than the usual ones.
    """
    usual: dict[str, Any] = {
        "name": "made-up", "version": "v1", "use_case": "made-up", "seed": 1, "synthetic": True,
        "created": "2026-01-01T00:00:00Z", "source": {"kind": "test"}, "sampling": "none",
        "metrics": {}, "splits": {}, "libraries": {}, "files": {},
    }  # fmt: skip
    return Artefact(path=path, schema=schema, **usual | changes)


def written(
    path: Path,
    schema: FeatureSchema,
    files: Mapping[str, bytes],
    name: str = "made-up",
    **changes: Any,  # noqa: ANN401 - any field
) -> Artefact:
    """An artefact that holds together; nobody looks into its model.

    Args:
        path: a folder to make.
        schema: of its rows.
        files: names and contents.
        name: of the model and of its use case.
        changes: see :func:`described`.
    """
    path.mkdir(parents=True)
    for file, content in files.items():
        (path / file).write_bytes(content)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    version = content_version(name, schema, hashes)
    changes |= {"name": name, "use_case": name, "version": version, "files": hashes}
    made = described(path, schema, **changes)
    (path / "artefact.json").write_text(json.dumps(made.manifest()), encoding="utf-8")
    return load_artefact(path)
