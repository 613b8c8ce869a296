"""The example of alerts as tests, as a user runs it: two scenarios in one session of pytest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from .playing import NO_REPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commandline import CommandLine


@pytest.mark.long
@pytest.mark.timeout(1300)
def test_the_example_plays_two_scenarios_on_one_stack(
    command_line: CommandLine, repository: Path
) -> None:
    """All pass with the rules of the example alone; each says in JUnit where its report lies."""
    example = command_line.folder / "alerts-as-tests"
    shutil.copytree(repository / "examples" / "alerts-as-tests", example)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junit-xml", "out.xml"],
        cwd=example,
        env=command_line.environment | NO_REPORTS,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    cases = ET.parse(example / "out.xml").iter("testcase")  # noqa: S314 - written here
    reports = [
        each.get("value")
        for case in cases
        for each in case.iter("property")
        if each.get("name") == "testbed_report"
    ]
    assert len(reports) == 3
    assert len(set(reports)) == 2
    runs = list((example / ".testbed" / "runs").iterdir())
    played = [run for run in runs if (run / "verdict.json").exists()]
    assert (len(runs), len(played)) == (3, 2)  # the stack itself has one
    for run in played:
        text = (run / "verdict.json").read_text(encoding="utf-8")
        assert '"custom_rules": true' in text
        assert "TooManyErrors" in text
