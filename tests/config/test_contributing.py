"""What contributors and GitHub are told to type is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.yamltext import load_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
TOLD = [
    *WORKFLOWS,
    *REPOSITORY.glob("*.md"),
    REPOSITORY / ".pre-commit-config.yaml",
    REPOSITORY / ".devcontainer" / "devcontainer.json",
    REPOSITORY / ".github" / "pull_request_template.md",
    REPOSITORY / ".ci" / "run",
]


def targets() -> set[str]:
    """What `make` can be asked for."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def jobs(path: Path) -> dict[str, Any]:
    """The jobs of a workflow."""
    found: dict[str, Any] = load_yaml(path.read_text(encoding="utf-8"))["jobs"]
    return found


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.name)
def test_targets_of_make_exist(path: Path) -> None:
    """Each `make X` in code or in a step names a target."""
    told = re.findall(r"(?m)(?:`|^|: )make ([a-z-]+)", path.read_text(encoding="utf-8"))
    assert set(told) <= targets()


def test_the_nightly_run_has_targets() -> None:
    """Each entry of its matrix is one."""
    (job,) = jobs(REPOSITORY / ".github" / "workflows" / "nightly.yml").values()
    assert set(job["strategy"]["matrix"]["target"]) <= targets()


def test_a_release_has_an_image_of_each_kind() -> None:
    """Those of the Dockerfile that Compose builds, each with the version of the tag."""
    images = jobs(REPOSITORY / ".github" / "workflows" / "release.yml")["images"]
    compose = load_yaml((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    built = {each["build"]["target"] for each in compose["services"].values() if "build" in each}
    assert set(images["strategy"]["matrix"]["target"]) == built
    argument = "SETUPTOOLS_SCM_PRETEND_VERSION"
    assert any(argument in step.get("with", {}).get("build-args", "") for step in images["steps"])
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    for target in built:
        assert f"AS build-{target}\nARG {argument}=" in dockerfile


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_may_only_do_what_they_need(path: Path) -> None:
    """By default a workflow reads; each job has an end."""
    document = load_yaml(path.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in document["jobs"].values())


def test_hooks_before_a_commit_are_steps_of_the_check() -> None:
    """What passes `make check` is never stopped by a hook, and the other way round."""
    check = (REPOSITORY / "tools" / "check").read_text(encoding="utf-8")
    text = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for hook in load_yaml(text)["repos"][0]["hooks"]:
        words = hook["entry"].replace(" --force-exclude", "").replace(".venv/bin/", "$bin/")
        assert hook["entry"] == "make check" or words in check
