"""Finding and installing tools, as far as it needs no compiler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from testbed.errors import StackError, UsageError
from testbed.stack import build
from testbed.stack.build import Store, cache_folder, check_disk
from testbed.stack.catalogue import NODE_EXPORTER, OTELCOL, PROMETHEUS, Tool
from testbed.stack.recipe import ask_version, steps


def program(path: Path, says: str) -> Path:
    """An executable that prints a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def silent(_tool: str, _state: str, _elapsed: float) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    manifest = tmp_path / "builder.yaml"
    manifest.write_text("dist: {}\n", encoding="utf-8")
    return Store(tmp_path / "cache", manifest, (NODE_EXPORTER, PROMETHEUS))


def fill(store: Store, tool: Tool) -> None:
    """Put a tool into the cache."""
    for item in tool.programs:
        program(store.folder / store.key(tool) / "bin" / item.name, f"version {tool.version}")


def test_cache_folder_follows_the_environment(tmp_path: Path) -> None:
    """TESTBED_CACHE wins over XDG_CACHE_HOME."""
    xdg = {"XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert cache_folder(xdg) == tmp_path / "xdg" / "ml-observability-testbed"
    assert cache_folder(xdg | {"TESTBED_CACHE": str(tmp_path / "own")}) == tmp_path / "own"
    assert cache_folder({}) == Path.home() / ".cache" / "ml-observability-testbed"


def test_missing_tool_says_how_to_get_it(store: Store) -> None:
    """Nothing is in an empty cache, and asking for a path names the command."""
    tools = store.find()
    assert tools.missing == ("node_exporter", "prometheus", "promtool")
    with pytest.raises(StackError, match="testbed stack install"):
        tools.path("promtool")


def test_tool_in_the_cache_is_not_built_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full cache needs no Go at all, and every program is reported."""

    def no_go(_root: Path) -> None:
        raise AssertionError("Go was asked for")

    monkeypatch.setattr(build, "provide_toolchain", no_go)
    for tool in store.tools:
        fill(store, tool)
    seen: list[tuple[str, str]] = []
    tools = store.install(lambda name, state, _: seen.append((name, state)))
    assert tools.missing == ()
    assert tools.path("promtool").is_relative_to(store.folder)
    assert ("promtool", "in cache") in seen


def test_another_pin_is_another_folder(store: Store) -> None:
    """A tool built for an older pin does not count as the new one."""
    fill(store, NODE_EXPORTER)
    newer = replace(NODE_EXPORTER, module_version="v1.13.0", version="1.13.0")
    assert replace(store, tools=(NODE_EXPORTER,)).find().missing == ()
    assert replace(store, tools=(newer,)).find().missing == ("node_exporter",)


@pytest.mark.parametrize(
    ("version", "source"), [("3.15.0", "PATH"), ("3.15.4", "PATH"), ("3.14.9", "missing")]
)
def test_path_is_preferred_where_the_version_fits(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, source: str
) -> None:
    """The same minor version from PATH is taken and its real version reported; others are not."""
    folder = tmp_path / "bin"
    for name in ("prometheus", "promtool"):
        program(folder / name, f"{name}, version {version} (branch: HEAD)")
    monkeypatch.setenv("PATH", str(folder))
    assert store.find(only=["prometheus"]).programs["promtool"].source == "missing"
    found = store.find(prefer_path=True, only=["prometheus"]).programs["promtool"]
    assert found.source == source
    if source == "PATH":
        assert (found.path, found.version) == (folder / "promtool", version)


def test_half_a_tool_on_path_is_not_used(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs of one tool come from one place."""
    program(tmp_path / "bin" / "prometheus", "prometheus, version 3.15.0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert store.find(prefer_path=True, only=["prometheus"]).missing == ("prometheus", "promtool")


def test_collector_on_path_must_be_the_contrib_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smaller distribution lacks components, so its name is not looked for."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    collectors = replace(store, tools=(OTELCOL,))
    program(tmp_path / "bin" / "otelcol", "otelcol version 0.155.0")
    assert collectors.find(prefer_path=True).missing == ("otelcol",)
    program(tmp_path / "bin" / "otelcol-contrib", "otelcol-contrib version 0.155.0")
    path = collectors.find(prefer_path=True).path("otelcol")
    assert path == tmp_path / "bin" / "otelcol-contrib"


def test_unknown_tool_is_named_with_the_known_ones(store: Store) -> None:
    """A typing error in a tool's name is answered by the list."""
    with pytest.raises(
        UsageError, match="there is no tool 'promtheus'; choose from node_exporter, prom"
    ):
        store.install(silent, only=["promtheus"])


def test_full_disk_is_noticed_before_the_build(tmp_path: Path) -> None:
    """The error says how much is needed and how much is free, also for folders yet to be made."""
    check_disk([tmp_path / "new" / "folder"], 1)
    with pytest.raises(
        StackError, match=r"needs about 1048576\.0 GiB for .*, where .* GiB are free"
    ):
        check_disk([tmp_path / "new" / "folder"], 2**50)


def test_program_that_is_something_else_is_named(tmp_path: Path) -> None:
    """What it printed helps to see what it is."""
    path = program(tmp_path / "tool", "hello")
    with pytest.raises(StackError, match=rf"{path} --version: there is no version in 'hello'"):
        ask_version(path)
    with pytest.raises(StackError, match="can't be asked"):
        ask_version(tmp_path / "absent")


def test_recipe_of_a_tool_pins_version_tags_and_flags(tmp_path: Path) -> None:
    """The module comes at its pin, and the compiler gets what the key stands for."""
    get, *compiling = steps(PROMETHEUS, tmp_path, Path("/go"), tmp_path / "builder.yaml")
    assert get.argv[1:] == ("get", "github.com/prometheus/prometheus@v0.315.0")
    for step in compiling:
        assert "netgo,stringlabels,remove_all_sd" in step.argv
        assert any("version.Version=3.15.0" in argument for argument in step.argv)
    assert [step.argv[-2:] for step in compiling] == [
        (f"{tmp_path}/out/bin/{name}", f"github.com/prometheus/prometheus/cmd/{name}")
        for name in ("prometheus", "promtool")
    ]


def test_recipe_of_the_collector_goes_through_its_builder(tmp_path: Path) -> None:
    """The builder of the pinned version writes the source from the manifest."""
    manifest = tmp_path / "builder.yaml"
    plan = steps(OTELCOL, tmp_path, Path("/go"), manifest)
    assert plan[0].argv[-1] == "go.opentelemetry.io/collector/cmd/builder@v0.155.0"
    assert str(manifest) in plan[2].argv
    assert plan[-1].folder == tmp_path / "source"
