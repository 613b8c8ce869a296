"""Registries: what a folder holds and what packages add, by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from testbed_domain.errors import DomainError
from testbed_domain.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "testbed.colours"


def name_of(item: type) -> str:
    """By its class name."""
    return item.__name__.lower()


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, point: str = "") -> Registry[type]:
    """A registry over a package with one class, and an installed distribution with another."""
    package = folder / "colours"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_private.py").write_text("raise RuntimeError('not to be imported')\n")
    (package / "own.py").write_text(
        "from colours_registry import COLOURS\n\n\n@COLOURS.register\nclass Red:\n    pass\n"
    )
    (folder / "colours_registry.py").write_text("COLOURS = None\n")
    (folder / "foreign.py").write_text("class Blue:\n    pass\n\n\nclass Red:\n    pass\n")
    info = folder / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{point}\n" if point else "")
    monkeypatch.syspath_prepend(str(folder))
    for name in ("colours", "colours.own", "colours_registry", "foreign"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    registry: Registry[type] = Registry(GROUP, "colours", name_of)
    monkeypatch.setattr("colours_registry.COLOURS", registry)
    return registry


def test_folder_and_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes of the folder, and that of the entry point; private modules are left alone."""
    registry = made(tmp_path, monkeypatch, "blue = foreign:Blue")
    assert sorted(registry) == ["blue", "red"]
    assert registry["blue"].__module__ == "foreign"


def test_a_name_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are named where a package takes a name of ours."""
    registry = made(tmp_path, monkeypatch, "red = foreign:Red")
    with pytest.raises(DomainError, match=r"foreign\.Red takes the name 'red', which colours\.own"):
        list(registry)


@pytest.mark.parametrize("point", ["x = foreign:Green", "x = nowhere:Green"])
def test_a_broken_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The entry point, its package and the reason, in one line."""
    registry = made(tmp_path, monkeypatch, point)
    with pytest.raises(DomainError, match=rf"{GROUP}: x of foreign can't be loaded: ") as caught:
        list(registry)
    assert "\n" not in str(caught.value)
