"""The stacks that the Compose test tries."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING

from testbed.composetest.command import DEFAULT
from testbed.composetest.plan import SERVERS
from testbed.composetest.project import Project
from testbed.composetest.variants import VARIANTS
from testbed.resources import root
from testbed_api.http.keys import read_keys
from testbed_load.headers import KEY_HEADER, read_headers

if TYPE_CHECKING:
    from pathlib import Path


def _project(place: Path) -> Project:
    return Project(place / "compose", root(), place)


def test_the_load_has_a_key_that_the_api_knows(tmp_path: Path) -> None:
    """Both files are what their readers want, and the containers' user may read them."""
    chosen = VARIANTS["replicas"].settings(_project(tmp_path))
    keys, key = chosen["TESTBED_API_KEYS_FILE"], chosen["TESTBED_LOAD_KEY_FILE"]
    fire = read_keys(tmp_path / "keys", time.monotonic)
    assert fire.decide(read_headers(key)[KEY_HEADER]).verdict == "accepted"
    assert keys == str(tmp_path / "keys")
    assert all((tmp_path / name).stat().st_mode & stat.S_IROTH for name in ("keys", "load-key"))


def test_variables_are_those_of_the_compose_file(tmp_path: Path) -> None:
    """One that it does not know would try nothing."""
    text = (root() / "docker-compose.yml").read_text("utf-8")
    for variant in VARIANTS.values():
        assert all(f"${{{name}" in text for name in variant.settings(_project(tmp_path)))


def test_a_changed_setting_is_the_last_and_counts(tmp_path: Path) -> None:
    """The others stay."""
    project = _project(tmp_path)
    project.env_file.write_text("A=1\nB=2\n")
    project.change(A="3")
    assert project.env_file.read_text() == "A=1\nB=2\nA=3\n"


def test_what_is_tried_by_default_needs_no_big_stand_in() -> None:
    """CI has minutes for it; the servers come by name."""
    assert not any(VARIANTS[name].servers for name in DEFAULT)
    assert VARIANTS["servers"].servers == SERVERS
