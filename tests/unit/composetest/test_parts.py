"""Small parts of the Compose test: mirror, index, control groups, steps, and when it skips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.composetest import command
from testbed.composetest.debian import mirror
from testbed.composetest.enclosure import CONTROL_GROUP, remove_control_groups
from testbed.composetest.engine import Engine, unwanted
from testbed.composetest.stack import verdict_in
from testbed.composetest.standins import settings, version_of
from testbed.composetest.steps import Steps
from testbed.errors import StackError
from testbed.stack.process import Supervisor

TARGETS = """\
Acme main Packages http://acme.example/apt
Debian main DEP-11 http://one.example/debian
Debian contrib Packages http://two.example/debian
Debian main Packages http://security.example/debian-security
Debian main Packages http://mirror.example/debian
"""


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    """Steps below a real supervisor."""
    with Supervisor() as supervisor:
        yield Steps(supervisor, tmp_path / "logs", tmp_path, {"PATH": os.environ["PATH"]})


def test_the_mirror_is_that_of_apt() -> None:
    """Other vendors, other components and the security archive hold no base system."""
    assert mirror(TARGETS) == "http://mirror.example/debian"
    assert mirror("Ubuntu main Packages http://x.example/ubuntu\n") is None


def test_images_that_nothing_is_built_for_any_more_go() -> None:
    """Another version, a service that is no more; one without a name is not removed by it."""
    names = ["a/python:3.11", "a/python:3.10", "host:5000/own-api:latest", "own-old:latest"]
    wanted = {"a/python:3.11", "host:5000/own-api"}
    assert unwanted([*names, "<none>:<none>"], wanted) == ["a/python:3.10", "own-old:latest"]


def test_housekeeping_that_fails_stops_nothing(tmp_path: Path) -> None:
    """An engine that was ended in the middle of it may fail at it from then on."""
    docker, said = tmp_path / "docker", tmp_path / "said"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {said}\n[ "$2" = ls ]\n')
    docker.chmod(0o755)
    Engine(str(docker), {"PATH": os.environ["PATH"]}, 0).trim({"ours"})
    assert "builder prune" in said.read_text()


def test_builds_get_the_index_of_the_environment() -> None:
    """Variables of the index reach the image as they are; others of pip and uv do not."""
    env = {"PIP_INDEX_URL": 'https://a:$b"c@x.example', "PIP_FIND_LINKS": "/mine", "HOME": "/root"}
    assert settings(env) == 'ENV PIP_INDEX_URL="https://a:\\$b\\"c@x.example"\n'


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/mlflow/mlflow:v3.17.2", "3.17.2"),
        ("prefecthq/prefect:3.8.8-python3.11", "3.8.8"),
        ("postgres:18.6-alpine", "18.6"),
    ],
)
def test_a_tag_names_the_version_of_the_packages(image: str, version: str) -> None:
    """Without the marks that each project has of its own."""
    assert version_of(image) == version


def test_control_groups_are_removed_in_every_hierarchy(tmp_path: Path) -> None:
    """Those of the containers go, whatever lies below; those of others stay."""
    for hierarchy in ("memory", "pids"):
        (tmp_path / hierarchy / CONTROL_GROUP / "container" / "below").mkdir(parents=True)
        (tmp_path / hierarchy / "docker").mkdir()
    remove_control_groups(tmp_path)
    left = sorted(str(folder.relative_to(tmp_path)) for folder in tmp_path.rglob("*"))
    assert left == ["memory", "memory/docker", "pids", "pids/docker"]


def test_a_step_that_fails_shows_the_end_of_its_output(steps: Steps) -> None:
    """The error names the step and quotes what the command said last."""
    with pytest.raises(StackError, match=r"brew tea: .*exit code 3(.|\n)*no water"):
        steps.run("brew tea", "sh", "-c", "echo no water; exit 3", limit=30)


def test_a_step_that_takes_too_long_is_stopped(steps: Steps) -> None:
    """Its process has ended when the error comes."""
    with pytest.raises(StackError, match="wait: not done after 0 s"):
        steps.run("wait", "sleep", "1000", limit=0.1)
    assert not steps.supervisor.instances()["wait"].running


def test_a_shown_step_prints_whole_lines(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the command printed appears, the last line too, without the supervisor's own."""
    steps.run("talk", "printf", "one\\ntwo\\nthree", limit=30, show=True)
    assert "\none\ntwo\nthree" in capsys.readouterr().out


def test_without_an_engine_it_skips_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, and a line that names the packages to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main([]) == 0
    said = capsys.readouterr().out
    assert said.startswith("compose-test: skipped: programs are missing: apt-get install ")
    assert "docker.io" in said


@pytest.mark.parametrize(
    ("output", "code", "verdict"),
    [
        ("✔ PASSED  80 of 80 checks passed", 0, True),
        ("✘ FAILED  79 of 80 checks passed", 1, True),
        ("Error response from daemon: context deadline exceeded", 1, False),
        ("error: the machine was too slow for this time scale", 2, False),
        ("", 0, False),
    ],
)
def test_an_exit_code_of_compose_itself_is_no_verdict(
    output: str, code: int, *, verdict: bool
) -> None:
    """Compose ends with 1 where the engine does not answer, too: nothing failed then."""
    assert verdict_in(output, code) == verdict
