"""A database of the run's own: where the API finds it, and what is refused."""

from __future__ import annotations

import getpass
import subprocess
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from testbed.attachedrefusals import refuse_what_needs_processes
from testbed.errors import UsageError
from testbed.faultrefusals import not_permitted, refuse_faults
from testbed.layout import RunLayout
from testbed.playsession import needs_own_stack
from testbed.resources import find_scenario
from testbed.runoptions import RunOptions
from testbed.scenario import Scenario, read_scenario
from testbed.settings import Settings
from testbed.stack import database
from testbed.stack.context import StackContext
from testbed.stack.database import ADDRESS, OwnDatabase
from testbed.stack.links import listener
from testbed.stack.logplace import log_url, own_database
from testbed.stack.ports import PortClaims
from testbed.targets import BundledApi

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = find_scenario("database-outage")
KILLED = {"kind": "kill", "component": "database"}


def scenario(*faults: dict[str, Any], own: bool = True) -> Scenario:
    """One phase with these faults, and a database or none."""
    phase = {"name": "one", "duration": "5m", "rate": 1, "faults": list(faults)}
    settings = {"log": {"database": "postgresql"}} if own else {}
    text = {"name": "x", "title": "X", "description": "X.", "phases": [phase]}
    return Scenario.model_validate({**text, "settings": settings})


def test_faults_hit_a_database_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one they are refused by name; without its programs, so is the scenario."""
    monkeypatch.setattr(database, "binaries", lambda: None)
    with pytest.raises(UsageError, match=r"wants a database of its own: .* apt install"):
        refuse_faults(scenario(KILLED), BundledApi(), frozenset())
    # By this `testbed run --all` skips it, and says so.
    assert "apt install postgresql" in (not_permitted(read_scenario(SHIPPED)) or "")
    with pytest.raises(UsageError, match="hits database, which is not a component of the run"):
        refuse_faults(scenario(KILLED, own=False), BundledApi(), frozenset())


def test_a_run_with_a_database_has_a_stack_of_its_own() -> None:
    """A running stack has its log already."""
    assert needs_own_stack(scenario())
    assert not needs_own_stack(scenario(own=False))
    with pytest.raises(UsageError, match="a database of its own"):
        refuse_what_needs_processes(scenario(), RunOptions())


def test_a_log_that_the_settings_name_is_not_overridden(tmp_path: Path) -> None:
    """It is said which of the two to leave out; without a database it is the one."""
    layout, named = RunLayout(tmp_path), "postgresql://a:b@elsewhere/log"
    settings = Settings(home=tmp_path, log_url=named)
    with pytest.raises(UsageError, match="leave TESTBED_LOG_URL out"):
        own_database(scenario(), settings, layout, PortClaims(), {})
    assert own_database(scenario(own=False), settings, layout, PortClaims(), {}) is None
    assert log_url(None, settings, layout, {}) == named


def test_only_the_api_goes_through_the_proxy(tmp_path: Path) -> None:
    """The runner and the drift job reach the database while the API's way to it is disturbed."""
    made = OwnDatabase(tmp_path, tmp_path, "secret", None)
    endpoints = {ADDRESS: "127.0.0.1:1", listener(("api", "database")): "127.0.0.1:2"}
    assert log_url(made, Settings(home=tmp_path), RunLayout(tmp_path), endpoints).endswith(
        ":secret@127.0.0.1:1/postgres"
    )
    context = cast("StackContext", SimpleNamespace(database=made, endpoints=endpoints))
    found = StackContext.api_log_url.fget  # type: ignore[attr-defined]  # of the property
    assert found(context).endswith(":secret@127.0.0.1:2/postgres")


def test_nothing_is_left_of_a_database_that_never_came_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the stack begins, which removes its files however it ends, there are none.

    Root's lie outside of the run's folder, where nobody would look for them.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(database, "binaries", lambda: tmp_path)
    monkeypatch.setattr(database, "why_not", lambda: None)
    monkeypatch.setattr(database, "_account", getpass.getuser)
    layout, claims = RunLayout(tmp_path), PortClaims()
    endpoints: dict[str, str] = {}
    chosen = own_database(scenario(), Settings(home=tmp_path), layout, claims, endpoints)
    claims.release(int(endpoints[ADDRESS].partition(":")[2]))
    assert chosen is not None
    assert not list((tmp_path / "elsewhere").iterdir()), "what follows may be refused yet"

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chosen.make()
    assert chosen.folder.stat().st_mode & 0o777 == 0o700
    chosen.remove()
    assert not list((tmp_path / "elsewhere").iterdir())
