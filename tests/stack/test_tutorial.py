"""The tutorial, and the page on its verdict: commands copied from them, outputs compared."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.typedpage import TypedPage, spans_of
from tests.support.verdictpage import PAGE, unexplained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.usefixtures("tools")
def test_the_tutorial_breaks_an_alert_and_its_verdict_is_read(
    repository: Path, tmp_path: Path
) -> None:
    """Its second part: a copied rule's limit is raised, and the run says what never fired.

    The run goes into the folder that the page on verdicts names, and that page's other commands
    read it there, and where a run lies that was given no folder.
    """
    page = TypedPage(repository / "docs" / "tutorial.md", tmp_path)
    verdicts = TypedPage(repository / "docs" / PAGE, tmp_path)
    (tmp_path / "prometheus").symlink_to(repository / "prometheus")
    run = verdicts.block("--out result").strip()
    code, output = page.type(page.block("my-rules"), {run.partition(" --out")[0]: run})
    (shown,) = page.blocks("text")
    assert code == 1, output
    assert shown.strip() in output
    assert re.search(
        r"^alert +phase +outcome +after +production +resolved *$", output, re.MULTILINE
    )
    assert re.search(r"^\d+ of \d+ alerts exercised", output, re.MULTILINE)
    result = tmp_path / "result"
    checks = json.loads((result / "verdict.json").read_text(encoding="utf-8"))["checks"]
    assert unexplained([each["name"] for each in checks]) == []
    assert (result / "junit.xml").read_text(encoding="utf-8").count("<testcase ") == len(checks)
    assert (result / "report.html").is_file()
    code, failed = page.type(verdicts.block("jq "))
    assert (code, shown.strip().removeprefix("✗ ") in failed.splitlines()) == (0, True), failed
    for name in ("main-run", "my-run", ".testbed/runs/20260101T120000-error-burst-seed1"):
        shutil.copytree(result, tmp_path / name)
    code, compared = page.type(verdicts.block("testbed compare"))
    assert (code, (tmp_path / "difference.html").is_file()) == (0, True), compared
    answers = {
        command: page.type(command)
        for command in ("testbed report", "testbed runs", "testbed clean")
        if command in spans_of(PAGE)
    }
    code, output = answers["testbed report"]
    assert (code, shown.strip() in output) == (0, True), output
    code, output = answers["testbed runs"]
    assert (code, bool(re.search(r"error-burst +failed", output))) == (0, True), output
    assert answers["testbed clean"][0] == 0, answers
