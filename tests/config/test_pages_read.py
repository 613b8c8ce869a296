"""What the documentation writes down is read as a user's own: settings, scenarios, services."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic import TypeAdapter
from pydantic_settings import BaseSettings
from testbed.scenario import read_scenario
from testbed.servicefile import read_service
from testbed.settings import Settings
from testbed_api.settings import ApiSettings
from testbed_drift.settings import DriftSettings
from testbed_rules.rulefiles import read_rules

from tests.support.typedpage import DOCS, blocks_of
from tests.support.yamltext import load_yaml

PAGES: Final = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("how-to/*.md"))
EVERYWHERE: Final = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
OWNERS: Final[dict[str, type[BaseSettings]]] = {
    "TESTBED_API_": ApiSettings,
    "TESTBED_DRIFT_": DriftSettings,
    "TESTBED_": Settings,
}
NAMED: Final = re.compile(r"\b(TESTBED_[A-Z0-9_]*[A-Z0-9])(?![A-Z0-9_*])(?:=([^\s`'\")|,;]+))?")
# Of programs other than the testbed: continuous integration, test files of promtool.
FOREIGN: Final = ({"jobs"}, {"alerts"}, {"rule_files"}, {"groups"}, {"annotations"})
PHASES: Final = [
    {"name": name, "duration": "10m", "rate": 40}
    for name in ("normal", "failing", "drifted", "recovery")
]


@cache
def sources() -> str:
    """All that reads variables, or sets them for others."""
    root = DOCS.parent
    packages = ("alertmanager", "api", "domain", "drift", "loadtest", "otel", "testbed", "tools")
    files = [each for package in packages for each in (root / package).rglob("*.py")]
    files += [root / "docker-compose.yml", root / "scenario.env", DOCS / "reference/settings.md"]
    return "\n".join(each.read_text(encoding="utf-8") for each in files)


def owner_of(name: str) -> tuple[type[BaseSettings], str] | None:
    """The settings that have a variable, and its field; None where another program reads it."""
    for prefix, owner in OWNERS.items():
        field = name.removeprefix(prefix).lower()
        if name.startswith(prefix) and field in owner.model_fields:
            return owner, field
    return None


@pytest.mark.parametrize("page", EVERYWHERE)
def test_settings_of_the_documentation_are_taken(page: str) -> None:
    """Each variable is one that something reads, and the page's value is one that it takes."""
    for name, value in NAMED.findall((DOCS / page).read_text(encoding="utf-8")):
        found = owner_of(name)
        if found is None:
            assert name in sources(), f"nothing reads {name}"
        elif value and not re.search(r"[…$<>]", value):
            owner, field = found
            info = owner.model_fields[field]
            TypeAdapter(info.rebuild_annotation()).validate_python(value)


def scenario_of(block: dict[str, Any]) -> dict[str, Any]:
    """A whole scenario of what a page shows of one."""
    whole = {"name": "shown", "title": "", "description": "", "phases": PHASES} | block
    if faults := whole.pop("faults", None):
        whole["phases"] = [{**PHASES[0], "faults": faults}]
    return whole


@pytest.mark.parametrize("page", PAGES)
def test_yaml_of_the_documentation_is_read(page: str, tmp_path: Path) -> None:
    """By the readers of scenarios, services and rules; what is another program's is named above."""
    for number, body in enumerate(blocks_of(page, "yaml")):
        block = load_yaml(body)
        file = tmp_path / f"{number}.yaml"
        if {"kind", "service"} & block.keys():
            file.write_text(yaml.safe_dump(block), encoding="utf-8")
            read_service(file)
        elif "groups" in block and page != "how-to/write-rules.md":
            (tmp_path / "rules").mkdir(exist_ok=True)
            (tmp_path / "rules" / file.name).write_text(body, encoding="utf-8")
            read_rules(tmp_path / "rules")
        elif "overhead" in block:  # stands in a service's file
            file.write_text(f"service: shop\ncommand: python app.py\n{body}", encoding="utf-8")
            read_service(file)
        elif not any(keys <= block.keys() for keys in FOREIGN):
            shutil.copytree(
                DOCS.parent / "prometheus/rules", tmp_path / "wrong", dirs_exist_ok=True
            )
            shutil.copy(DOCS.parent / "alertmanager/alertmanager.yml", tmp_path / "wrong")
            file.write_text(yaml.safe_dump(scenario_of(block)), encoding="utf-8")
            read_scenario(file)
