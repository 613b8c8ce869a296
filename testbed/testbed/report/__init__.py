"""What a run hands over: ``verdict.json``, ``junit.xml``, ``report.html`` and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.files import write_atomic

from testbed.evidence import load_evidence
from testbed.report.junit import junit_xml
from testbed.report.terminal import render_table
from testbed.verdict import read_verdict, write_verdict

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.evidence import Evidence
    from testbed.layout import RunLayout
    from testbed.verdict import Verdict

__all__ = ["render_table", "rewrite_report", "write_outcome", "write_report"]


def write_outcome(layout: RunLayout, verdict: Verdict, evidence: Evidence) -> None:
    """Write the verdict, its JUnit form and the report."""
    write_verdict(layout, verdict)
    write_atomic(layout.junit_file, junit_xml(verdict))
    write_report(layout, verdict, evidence)


def write_report(layout: RunLayout, verdict: Verdict, evidence: Evidence) -> Path:
    """Write the HTML report and return its path."""
    # Imported late: Plotly takes a second that other commands need not pay.
    from testbed.report.page import render_page  # noqa: PLC0415
    from testbed.report.previous import since_previous  # noqa: PLC0415

    previous = since_previous(layout, verdict)
    write_atomic(layout.report_file, render_page(verdict, evidence, previous))
    return layout.report_file


def rewrite_report(layout: RunLayout) -> Verdict:
    """Write a run's report again from its folder alone, and return its verdict.

    Raises:
        UsageError: the folder holds no finished run.
    """
    verdict = read_verdict(layout)
    write_report(layout, verdict, load_evidence(layout))
    return verdict
