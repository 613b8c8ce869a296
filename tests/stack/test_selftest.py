"""A sample of the self-test: one defect of each way of planting, found and named in a real run."""

from __future__ import annotations

import json

import pytest

from tests.support.commandline import CommandLine

from .playing import NO_REPORTS

# A patched component, a changed plan, changed rules, a process that is stopped.
SAMPLE = ("log-feature-scaled", "plan-fewer", "rule-matcher-typo", "prometheus-frozen")


@pytest.mark.long
@pytest.mark.timeout(1600)  # three minutes and a bit, on a machine that does nothing else
@pytest.mark.usefixtures("tools")
def test_planted_defects_are_found_and_the_right_link_is_named(command_line: CommandLine) -> None:
    """`make selftest` plays all of them."""
    command_line.environment |= NO_REPORTS
    only = [word for name in SAMPLE for word in ("--only", name)]
    done = command_line.run("selftest", "--jobs", "1", *only, "--json", "r.json", timeout=1500)
    results = json.loads((command_line.folder / "r.json").read_text())
    assert {row["defect"] for row in results} == set(SAMPLE)
    wrong = [row for row in results if row["culprit"] not in row["expected"]]
    assert not wrong, done.output
    assert done.code == 0
