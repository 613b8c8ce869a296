"""Artefacts: what is trusted and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.artefact import ArtefactError, load_artefact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = path / "artefact.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")


def test_loading_gives_what_training_gave(synthetic: Artefact, iris: Artefact) -> None:
    """The artefact read from disk equals the one that training returned."""
    for artefact in (synthetic, iris):
        assert load_artefact(artefact.path) == artefact


def test_pool_only_for_data_sets(synthetic: Artefact, iris: Artefact) -> None:
    """A data set has a pool, equal to its reference rows; a generator has none."""
    assert not list(synthetic.pool())
    pool = list(iris.pool())
    assert pool == [(row.features, row.label) for row in iris.reference()]


@pytest.mark.parametrize("name", ["model.onnx", "reference.jsonl", "pool.jsonl"])
def test_changed_and_missing_files_are_refused(
    name: str, iris: Artefact, copied: Callable[[Artefact], Artefact]
) -> None:
    """One changed byte, or a missing file, is refused by the file's name."""
    path = copied(iris).path
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[:-2] + b"x\n")
    with pytest.raises(ArtefactError, match=f"{name} differs from its hash"):
        load_artefact(path)
    (path / name).unlink()
    with pytest.raises(ArtefactError, match=f"cannot read .*{name}: No such file"):
        load_artefact(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(schema_version=2), "has schema version 2, this program"),
        (lambda manifest: manifest.pop("schema_version"), "has schema version None"),
        (lambda manifest: manifest.pop("files"), "is damaged"),
        (lambda manifest: manifest.update(surprise=1), "is damaged"),
        (lambda manifest: manifest["schema"].update(features=3), "is damaged"),
        (lambda manifest: manifest.update(version="rf-0"), "does not fit its version"),
        (lambda manifest: manifest["schema"]["features"].reverse(), "does not fit its version"),
        (lambda manifest: manifest["files"].pop("model.onnx"), "does not fit its version"),
        (lambda manifest: manifest["files"].update({"../x": "0"}), "names a file outside it"),
    ],
)
def test_edited_manifests_are_refused(
    change: Callable[[dict[str, Any]], object],
    message: str,
    iris: Artefact,
    copied: Callable[[Artefact], Artefact],
) -> None:
    """A manifest that is foreign, damaged, or no longer fits its version is refused."""
    path = copied(iris).path
    _edit(path, change)
    with pytest.raises(ArtefactError, match=message):
        load_artefact(path)


def test_what_is_no_artefact(tmp_path: Path) -> None:
    """An absent directory says how to train; text that is no JSON is reported by its file."""
    with pytest.raises(ArtefactError, match=r"no model artefact at .*: train one"):
        load_artefact(tmp_path / "absent")
    (tmp_path / "artefact.json").write_text("[", encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"cannot read .*artefact\.json"):
        load_artefact(tmp_path)
    (tmp_path / "artefact.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtefactError, match="schema version None"):
        load_artefact(tmp_path)
