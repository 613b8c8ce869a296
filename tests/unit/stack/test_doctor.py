"""The evaluation of the doctor."""

from __future__ import annotations

from pathlib import Path

from testbed.stack.catalogue import GIB
from testbed.stack.doctor import (
    Diagnosis,
    diagnose,
    evaluate_disk,
    evaluate_memory,
    evaluate_ports,
    evaluate_python,
    evaluate_system,
)


def test_what_native_mode_needs_is_an_error_with_a_way_out() -> None:
    """Another system, an old Python and a full disk stop native mode."""
    bad = [
        evaluate_system("Darwin", "arm64"),
        evaluate_python((3, 10)),
        evaluate_disk(Path("/cache"), GIB, 7 * GIB),
    ]
    assert all(not item.ok and item.level == "error" and item.fix for item in bad)
    assert "1.0 GiB" in bad[2].detail
    assert "7.0 GiB" in bad[2].detail


def test_what_fits_needs_no_fix() -> None:
    """A good finding says nothing of what to do."""
    good = [
        evaluate_system("Linux", "x86_64"),
        evaluate_python((3, 13)),
        evaluate_memory(16 * GIB),
        evaluate_disk(Path("/cache"), 8 * GIB, 7 * GIB),
        evaluate_ports([]),
    ]
    assert all(item.ok and not item.fix for item in good)


def test_used_ports_are_only_information() -> None:
    """The testbed chooses others, and the finding names those in use."""
    finding = evaluate_ports(["prometheus:9090"])
    assert finding.level == "info"
    assert "prometheus:9090" in finding.detail


def test_diagnosis_looks_at_everything_that_the_help_promises() -> None:
    """It runs on any machine, names each thing once and gives a fix for whatever is not ok."""
    findings: list[Diagnosis] = diagnose()
    names = [item.name for item in findings]
    assert len(names) == len(set(names))
    expected = {"system", "Python", "memory", "git", "make", "tools", "Go", "disk", "ports"}
    assert expected | {"Docker Compose", "Chromium"} == set(names)
    assert all(item.ok or item.fix for item in findings)
