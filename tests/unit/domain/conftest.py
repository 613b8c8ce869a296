"""Small models that the tests of the domain package share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = TrainingOptions(trees=8, depth=5, train_rows=600, test_rows=200, reference_rows=300)


@pytest.fixture(scope="session")
def small() -> TrainingOptions:
    """Options that train in a fraction of a second."""
    return SMALL


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small diabetes model from the generator; read only."""
    out = tmp_path_factory.mktemp("domain") / "diabetes"
    return train(get_use_case("diabetes"), None, 7, out, SMALL)


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small iris model from the bundled data; read only."""
    out = tmp_path_factory.mktemp("domain") / "iris"
    return train(get_use_case("iris"), None, 7, out, SMALL)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Artefact], Artefact]:
    """Copies an artefact to where a test may damage it."""

    def copy(artefact: Artefact) -> Artefact:
        shutil.copytree(artefact.path, tmp_path / "copy")
        return load_artefact(tmp_path / "copy")

    return copy
