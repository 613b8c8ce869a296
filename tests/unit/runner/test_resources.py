"""Where configuration and scenarios are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.resources import root
from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from pathlib import Path


def configured(folder: Path) -> Path:
    """Make a folder look like one that holds the project's configuration."""
    (folder / "prometheus").mkdir(parents=True)
    (folder / "prometheus" / "prometheus.yml").touch()
    return folder


def test_a_checkout_is_its_own_source(repository: Path) -> None:
    """Nothing that a wheel holds is taken for it."""
    assert root() == repository


def test_a_checkout_comes_before_what_a_wheel_brought(tmp_path: Path) -> None:
    """A wheel that was built in place leaves no older copy in use."""
    package = tmp_path / "testbed" / "testbed"
    configured(package / "_assets")
    assert root(package) == package / "_assets"
    assert root(package) != configured(tmp_path)
    assert root(package) == tmp_path


def test_without_either_the_way_out_is_named(tmp_path: Path) -> None:
    """One line says what is missing where, and what to do."""
    package = tmp_path / "testbed" / "testbed"
    with pytest.raises(DomainError, match="install the package") as caught:
        root(package)
    assert str(tmp_path) in str(caught.value)
