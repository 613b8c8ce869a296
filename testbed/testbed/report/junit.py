"""The verdict as JUnit XML: one test case per check, and so per expected alert."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from testbed.verdict import Verdict

# XML 1.0 has no way to write these, not even escaped.
_UNWRITABLE: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(verdict: Verdict) -> str:
    """The document, as JUnit's readers in CI systems take it."""
    total, failed = str(len(verdict.checks)), str(len(verdict.failed))
    took = f"{verdict.ended_at - verdict.started_at:.3f}"
    counts = {"tests": total, "failures": failed, "errors": "0", "time": took}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        root,
        "testsuite",
        {"name": _text(verdict.run.scenario), "timestamp": _text(verdict.run.started), **counts},
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(verdict):
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for check in verdict.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": _text(f"testbed.{verdict.run.scenario}"), "name": _text(check.name)},
        )
        if not check.applicable:
            ET.SubElement(case, "skipped", {"message": _text(check.summary)})
        if not check.passed and check.severity == "warn":
            warning = ET.SubElement(case, "system-err")
            warning.text = _text("\n".join((f"warning: {check.summary}", *check.details)))
        elif not check.passed:
            failure = ET.SubElement(
                case, "failure", {"type": "failed", "message": _text(check.summary)}
            )
            failure.text = _text("\n".join((check.summary, *check.details)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _properties(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    run = verdict.run
    covered, slow, points = verdict.coverage, verdict.too_slow, verdict.points
    return (
        ("run", run.id),
        ("use_case", run.use_case),
        ("seed", str(run.seed)),
        ("time_scale", f"{run.time_scale:g}"),
        ("data", run.data_source),
        *(("rule_set_aside", line) for line in run.rules_aside),
        *((("alerts_exercised", ", ".join(covered.exercised)),) if covered else ()),
        *((("alerts_not_exercised", ", ".join(covered.idle)),) if covered else ()),
        *((("too_slow", slow),) if slow else ()),
        *((("points", f"{points.scored:g}/{points.of:g}"),) if points else ()),
    )


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
