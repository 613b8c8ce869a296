"""The catalogue of pinned tools."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.errors import StackError
from testbed.resources import root
from testbed.stack.build import Store
from testbed.stack.catalogue import (
    OPTIONAL,
    OTELCOL,
    PROMETHEUS,
    TOOLS,
    fits,
    images,
    parse_version,
)

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "prometheus, version 3.15.0 (branch: , revision: unknown)\n  go version: go1.26",
            "3.15.0",
        ),
        ("otelcol version 0.155.0\n", "0.155.0"),
        ("otelcol-contrib version v0.155.0", "0.155.0"),
        ("amtool, version 0.31.1 (branch: HEAD, revision: abc)", "0.31.1"),
    ],
)
def test_version_is_read_from_what_the_tools_print(text: str, version: str) -> None:
    """Every tool's own wording is understood."""
    assert parse_version(text) == version


def test_text_without_version_is_refused() -> None:
    """A program that is something else is named by what it said."""
    with pytest.raises(StackError, match="unknown flag"):
        parse_version("Error: unknown flag: --version\nusage")


@pytest.mark.parametrize(
    ("found", "fitting"), [("3.15.0", True), ("3.15.7", True), ("3.14.0", False), ("2.15.0", False)]
)
def test_same_minor_version_may_stand_in(found: str, fitting: bool) -> None:  # noqa: FBT001 - a case
    """Only patches may differ between a tool on PATH and the pin."""
    assert fits(found, "3.15.0") is fitting


def test_key_changes_with_whatever_shapes_the_binary() -> None:
    """Another flag or another manifest is another folder of the cache; another image is not."""
    assert PROMETHEUS.key() != replace(PROMETHEUS, tags=("netgo",)).key()
    assert PROMETHEUS.key() != replace(PROMETHEUS, ldflags="-s").key()
    assert PROMETHEUS.key() == replace(PROMETHEUS, image="other:1").key()
    assert OTELCOL.key("a") != OTELCOL.key("b")
    assert PROMETHEUS.key("a") == PROMETHEUS.key("b")


def test_manifest_pins_the_version_of_the_catalogue() -> None:
    """The Collector, its builder, its components and its image are of one version."""
    manifest = load_yaml((root() / "otel" / "builder.yaml").read_text(encoding="utf-8"))
    assert manifest["dist"]["name"] == OTELCOL.programs[0].name
    assert manifest["dist"]["version"] == OTELCOL.version
    assert manifest["dist"]["output_path"] == "./source"
    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    modules = [item["gomod"] for kind in kinds for item in manifest[kind]]
    assert {module.split()[1] for module in modules} == {OTELCOL.module_version}


def test_what_only_some_scenarios_need_is_not_built_for_others(tmp_path: Path) -> None:
    """It is there where it is asked for by name, at a pinned version that it reports."""
    store = Store(tmp_path, root() / "otel" / "builder.yaml")
    usual, asked = store.find().programs, store.find(only=["toxiproxy"]).programs
    assert "toxiproxy-server" not in usual
    assert set(asked) == {"toxiproxy-server"}
    for tool in OPTIONAL:
        assert tool.module_version == f"v{tool.version}"
        assert f"Version={tool.version}" in tool.ldflags


def test_images_have_the_pinned_version() -> None:
    """Compose runs what native mode builds."""
    assert set(images()) == {tool.name for tool in TOOLS}
    for tool in TOOLS:
        assert tool.image.rpartition(":")[2].removeprefix("v") == tool.version
