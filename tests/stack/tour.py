"""Several shipped scenarios, one after the other on one living stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from testbed.resources import find_scenario

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_tour(file: Path, names: Sequence[str]) -> None:
    """Write a scenario in which those of these names follow each other.

    Each has its own phases, faults, alerts and assertions, with the delays and words that are
    shipped; the limits on requests are the widest of them. Normal traffic comes before the first
    one, and a recovery where the next one provokes an alert that is to resolve before.
    """
    parts = [load_yaml(find_scenario(name).read_text(encoding="utf-8")) for name in names]
    phases: list[dict[str, Any]] = []
    alerts: list[dict[str, Any]] = []
    assertions: list[dict[str, Any]] = []
    limits: dict[str, float] = {}
    for number, part in enumerate(parts):
        assert part.keys() <= {
            *("name", "title", "description", "phases", "settle", "expected_alerts", "limits"),
            "assertions",
        }, "it says more than a tour takes over"
        following = set().union(*(_alerts(each) for each in parts[number + 1 : number + 2]))
        kept = _trimmed(
            part["phases"],
            first=number == 0,
            last=number == len(parts) - 1 or bool(_alerts(part) & following),
        )
        phases += [each | {"name": f"{part['name']} {each['name']}"} for each in kept]
        alerts += [
            each | {"phase": f"{part['name']} {each['phase']}"} for each in part["expected_alerts"]
        ]
        for each in part.get("assertions", ()):
            place = {"phase": f"{part['name']} {each['phase']}"} if "phase" in each else {}
            assertions.append(each | place)
        for name, value in part.get("limits", {}).items():
            limits[name] = max(value, limits.get(name, 0))
    document = {
        "name": "tour",
        "title": ", ".join(names),
        "description": "One after the other.",
        "phases": phases,
        "settle": "16m",
        "expected_alerts": alerts,
        "assertions": assertions,
        "limits": limits,
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def _alerts(part: dict[str, Any]) -> set[str]:
    return {each["alert"] for each in part["expected_alerts"]}


def _trimmed(phases: list[dict[str, Any]], *, first: bool, last: bool) -> list[dict[str, Any]]:
    """Phases without the quiet ones at the beginning and at the end, where they are not wanted."""
    noisy = [number for number, phase in enumerate(phases) if "faults" in phase]
    return phases[0 if first else noisy[0] : None if last else noisy[-1] + 1]
