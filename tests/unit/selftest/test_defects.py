"""The defects of the self-test can still be planted: none has lost what it changes."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.planting import NOTHING, SOURCES, Planting, launched
from testbed.scenario import read_scenario
from testbed.selftest import edits
from testbed.selftest.catalogue import chosen, scenario_file
from testbed.selftest.play import named_by
from testbed.selftest.results import Result, passed, read_results, summary, write_results
from testbed.stack.addresses import USUAL_PORTS
from testbed.stack.configuration import render_native
from testbed_load.plan import LoadPhase, LoadPlan, PhaseDrift

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.selftest.defect import Defect
    from testbed.verdict import Verdict

ALL = chosen(())
PATCHED = [defect for defect in ALL if defect.planting.patches]
EDITED = [defect for defect in ALL if defect.planting.edit is not NOTHING.edit]
SOURCED = [defect for defect in ALL if defect.planting.source is not None]
PLANNED = [defect for defect in ALL if defect.planting.plan is not NOTHING.plan]


def test_there_are_enough_defects_and_their_names_differ() -> None:
    """At least sixty."""
    assert len({defect.name for defect in ALL}) == len(ALL) >= 60


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.name)
def test_a_defect_is_planted_in_a_scenario_that_can_be_read(defect: Defect) -> None:
    """A defect without a scenario is found by nobody."""
    assert read_scenario(scenario_file(defect.scenario)).phases
    assert defect.culprits
    assert defect.what.endswith(".")


@pytest.mark.parametrize("defect", EDITED, ids=lambda defect: defect.name)
def test_an_edit_changes_the_rendered_configuration(
    defect: Defect, tmp_path: Path, repository: Path
) -> None:
    """An edit that no longer finds its place would plant nothing."""
    layout = RunLayout(tmp_path).create()
    endpoints = {address: f"127.0.0.1:{port}" for address, port in USUAL_PORTS.items()}
    render_native(layout, source=repository, endpoints=endpoints, factor=30.0)
    before = _contents(layout.config)
    defect.planting.edit(layout.config)
    after = _contents(layout.config)
    assert {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("defect", SOURCED, ids=lambda defect: defect.name)
def test_an_edit_changes_a_copy_of_the_source(
    defect: Defect, tmp_path: Path, repository: Path
) -> None:
    """The checkout stays as it is."""
    shipped = _sources(repository)
    planted = defect.planting.source_of(repository, tmp_path / "planted")
    assert _sources(planted) != shipped
    assert _sources(repository) == shipped
    assert NOTHING.source_of(repository, tmp_path / "other") == repository


def _sources(folder: Path) -> list[dict[str, object]]:
    return [_contents(folder / name) for name in SOURCES]


# Most files of a planting are as they were.
_document = cache(load_yaml)


def _contents(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): path.read_text()
        if path.suffix == ".json"
        else _document(path.read_text())
        for path in folder.rglob("*")
        if path.suffix in {".json", ".yaml", ".yml"}
    }


@pytest.mark.parametrize("defect", PLANNED, ids=lambda defect: defect.name)
def test_a_planned_defect_changes_the_plan(defect: Defect) -> None:
    """As above, for what Locust reads."""
    drift = PhaseDrift("covariate_shift")
    plan = LoadPlan("run", 1, "diabetes", (LoadPhase("drifted", 10.0, 50.0, drift),))
    assert defect.planting.plan(plan) != plan


@pytest.mark.slow
def test_patches_find_what_they_change() -> None:
    """They are called in a process of their own, since they change the code there."""
    targets = {target for defect in PATCHED for target in defect.planting.patches.values()}
    code = "import importlib, sys\n" + "\n".join(
        f"print({target!r}, file=sys.stderr)\n"
        f"importlib.import_module({target.partition(':')[0]!r}).{target.partition(':')[2]}()"
        for target in sorted(targets)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == sorted(targets)


def test_a_patch_of_something_that_is_gone_is_refused(tmp_path: Path) -> None:
    """An edit says which alert or text it does not find."""
    layout = RunLayout(tmp_path).create()
    (layout.config / "rules").mkdir()
    with pytest.raises(LookupError, match="no rule of the alert Nope"):
        edits.annotation("Nope", "summary", "")(layout.config)


def test_only_python_modules_can_be_patched() -> None:
    """A compiled program is edited by its configuration."""
    assert launched((sys.executable, "-m", "testbed_api"), "a:b")[-2:] == ("a:b", "testbed_api")
    with pytest.raises(ValueError, match="only a Python module"):
        launched(("prometheus", "--config.file=x", "y"), "a:b")


def test_kinds_and_defects_are_chosen_by_name() -> None:
    """In the order of the list, each once."""
    one = ALL[0].name
    assert next(each.name for each in chosen((one, "values"))) == one
    assert chosen((one,)) == (ALL[0],)
    with pytest.raises(UsageError, match="selftest --list"):
        chosen(("nope",))


def _result(name: str, code: int, culprit: str | None) -> Result:
    return Result(
        defect=name,
        kind="k",
        exit_code=code,
        culprit=culprit,
        expected=("rule",),
        lead="",
        seconds=1.0,
    )


def test_results_pass_where_all_are_found_and_most_are_named(tmp_path: Path) -> None:
    """One of twenty may be blamed on another link; none may be missed."""
    named = [_result(f"d{n}", 1, "rule") for n in range(19)]
    blamed, missed = _result("x", 1, "load"), _result("y", 0, None)
    assert passed([*named, blamed])
    assert not passed([*named[:9], blamed])
    assert not passed([*named, missed])
    assert summary([*named, blamed]).startswith("20 of 20 defects found, 19 with the right link")
    write_results(tmp_path / "r.json", [blamed])
    assert read_results(tmp_path / "r.json") == (blamed,)
    assert read_results(tmp_path / "none.json") == ()


def test_the_check_that_a_defect_is_for_must_fail() -> None:
    """Where only others fail, the right link is not named, whichever leads."""
    failed = [SimpleNamespace(name=name, summary="is wrong") for name in ("counts", "assertion x")]
    verdict = cast("Verdict", SimpleNamespace(failed=failed, culprit="load"))
    assert named_by(verdict, None) == ("load", "counts: is wrong")
    assert named_by(verdict, "assertion x") == ("load", "counts: is wrong")
    assert named_by(verdict, "assertion y") == (None, "assertion y did not fail; counts: is wrong")


def test_an_honest_run_is_started_as_it_is() -> None:
    """The null object touches nothing."""
    assert not NOTHING.touches("api")
    assert Planting(patches={"api": "a:b"}).touches("api")
