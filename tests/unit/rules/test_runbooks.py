"""Links to runbooks that open, wherever rules are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import ValidationError
from testbed.resources import root
from testbed.runbooklinks import runbook_links
from testbed.settings import Settings
from testbed_rules.rulefiles import read_rules
from testbed_rules.runbooks import RUNBOOK, with_runbooks


def _links(files: dict[str, Any]) -> list[str]:
    return [
        rule["annotations"][RUNBOOK]
        for document in files.values()
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def test_shipped_runbooks_open_as_files() -> None:
    """Each link of each rule that ships leads to a page that is there."""
    files = with_runbooks(read_rules(root() / "prometheus/rules"), runbook_links(Settings()))
    links = _links(files)
    assert len(links) > 20
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "file"
        assert Path(unquote(parts.path)).is_file(), link


def test_setting_makes_addresses_of_them() -> None:
    """Below the repository that somebody reads them in."""
    settings = Settings(runbooks="https://git.example.com/ml/blob/main/")
    files = with_runbooks(read_rules(root() / "prometheus/rules"), runbook_links(settings))
    assert "https://git.example.com/ml/blob/main/docs/runbooks/DataDrift.md" in _links(files)
    with pytest.raises(ValidationError):
        Settings(runbooks="docs")


@pytest.mark.parametrize(
    "link", ["https://wiki/x", "runbooks/{{ $labels.job }}.md", "", "pages/mine.md"]
)
def test_other_links_stay(link: str) -> None:
    """Absolute ones, templates, and files that are not the project's."""
    rule = {"alert": "A", "expr": "up", "annotations": {RUNBOOK: link}}
    recording = {"record": "a:b", "expr": "up"}
    files = {"a.yml": {"groups": [{"name": "g", "rules": [rule, recording]}]}, "empty.yml": {}}
    assert with_runbooks(files, runbook_links(Settings())) == files
