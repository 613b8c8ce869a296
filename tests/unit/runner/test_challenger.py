"""The challenger that only the API knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.faults.rig.badversion import worse
from testbed.faults.rig.strangemodel import copy_under_another_name
from testbed_domain.artefact import load_artefact

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact


def test_the_copy_is_another_version_of_an_unknown_model(
    small_artefact: Artefact, tmp_path: Path
) -> None:
    """It passes every check of an artefact, and predicts the same with the same columns."""
    copy = load_artefact(copy_under_another_name(small_artefact.path, tmp_path / "copy"))
    assert copy.name != small_artefact.name
    assert copy.version != small_artefact.version
    assert copy.schema == small_artefact.schema
    assert copy.model_file.read_bytes() == small_artefact.model_file.read_bytes()


def test_a_worse_version_can_take_the_place_and_has_learned_nothing(
    small_artefact: Artefact, tmp_path: Path
) -> None:
    """Its schema and its reference are the champion's, its model is not."""
    made = worse(small_artefact.path, tmp_path, seed=0)
    assert load_artefact(made.path).schema == small_artefact.schema
    assert (made.name, made.version != small_artefact.version) == (small_artefact.name, True)
    assert made.metrics["accuracy"] < small_artefact.metrics["accuracy"]
