"""Models that were trained before: the same input takes one, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.cli import app
from testbed.modelcache import key_of, remember, trained_before
from testbed.owndata import OwnData
from testbed.settings import Settings
from testbed.usecasechoice import train_model
from testbed_domain.artefact import MODEL
from testbed_domain.tables.reading import ReadOptions
from testbed_domain.use_cases import get_use_case
from typer.testing import CliRunner

from testbed import modelcache

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact

DIABETES = get_use_case("diabetes")
READING = ReadOptions()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def test_model_that_was_trained_is_taken(
    small_artefact: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without training; into the folder of models, as if it had been trained there."""
    key = key_of(DIABETES, None, 0, READING)
    assert trained_before(key, tmp_path / "models") is None
    remember(key, small_artefact)

    def refuse(*_: object, **_options: object) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr("testbed_domain.training.train_into", refuse)
    said: list[str] = []
    settings = Settings(home=tmp_path)
    found = train_model(settings, "diabetes", OwnData(), said.append)
    assert found.version == small_artefact.version
    assert found.path == settings.models / f"diabetes-{found.version}"
    assert "as it was trained before" in said[0]
    with pytest.raises(AssertionError, match="it was trained"):
        train_model(settings, "diabetes", OwnData(), said.append, again=True)


def test_damaged_one_is_none(small_artefact: Artefact, tmp_path: Path, cache: Path) -> None:
    """It is trained again, and is whole then."""
    key = key_of(DIABETES, None, 0, READING)
    remember(key, small_artefact)
    (cache / str(key) / MODEL).write_bytes(b"")
    assert trained_before(key, tmp_path / "models") is None
    remember(key, small_artefact)
    assert trained_before(key, tmp_path / "models") is not None


def test_key_is_of_all_that_a_model_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use case, schema, table and its reading, seed, code and libraries."""
    table, other = tmp_path / "one" / "t.csv", tmp_path / "two" / "t.csv"
    for path, text in ((table, "a,b\n1,2\n"), (other, "a,b\n1,3\n")):
        path.parent.mkdir()
        path.write_text(text)
    same: tuple[Any, ...] = (DIABETES, table, 0, READING)
    others: list[tuple[Any, ...]] = [
        (get_use_case("iris"), table, 0, READING),
        (replace(DIABETES, labels={"yes": "1"}), table, 0, READING),
        (DIABETES, None, 0, READING),
        (DIABETES, other, 0, READING),
        (DIABETES, table, 1, READING),
        (DIABETES, table, 0, ReadOptions.parse(";", None, None, None)),
    ]
    assert key_of(*same) == key_of(*same)
    found = {key_of(*each) for each in (same, *others)}
    monkeypatch.setattr(modelcache, "_made_by", lambda: ["another code"])
    assert len(found | {key_of(*same)}) == len(others) + 2


def test_clean_removes_kept_models(
    small_artefact: Artefact, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is asked for models."""
    monkeypatch.chdir(tmp_path)
    remember(key_of(DIABETES, None, 0, READING), small_artefact)
    for option, left in ((), 1), (("--models",), 0):
        assert CliRunner().invoke(app, ["clean", "--older-than", "0h", *option]).exit_code == 0
        assert len(list(cache.glob("*"))) == left


def test_generator_of_another_package_has_no_key(tmp_path: Path) -> None:
    """Its code may be anywhere, so it is trained each time."""
    generator = DIABETES.generator
    assert generator is not None
    foreign = replace(generator, sample=lambda *_: ([], []))
    assert key_of(replace(DIABETES, generator=foreign), None, 0, READING) is None
    assert key_of(DIABETES, tmp_path / "missing.csv", 0, READING) is None
    assert trained_before(None, tmp_path) is None
