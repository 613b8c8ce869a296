"""Several shipped scenarios, one after the other on one living stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from testbed.resources import find_scenario
from testbed_rules.timescale import parse_duration

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_tour(file: Path, names: Sequence[str | tuple[str, str]]) -> None:
    """Write a scenario in which those of these names follow each other; of two, at a time.

    Each has its own phases, faults, alerts and assertions, with the delays and words that are
    shipped; the limits on requests are the widest of them. Normal traffic comes before the first
    one, and a recovery where the next one provokes an alert that is to resolve before.
    """
    parts = [
        _loaded(name) if isinstance(name, str) else _beside(*map(_loaded, name)) for name in names
    ]
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
        "title": ", ".join(part["name"] for part in parts),
        "description": "One after the other.",
        "phases": phases,
        "settle": "16m",
        "expected_alerts": alerts,
        "assertions": assertions,
        "limits": limits,
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def _loaded(name: str) -> dict[str, Any]:
    part: dict[str, Any] = load_yaml(find_scenario(name).read_text(encoding="utf-8"))
    return part


def _beside(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two scenarios of as many phases with faults at a time; each phase lasts as the longer one."""
    pairs = [[phase for phase in part["phases"] if "faults" in phase] for part in (one, other)]
    assert not {"assertions"} & {*one, *other}
    names = {
        phase["name"]: f"{first['name']} {second['name']}"
        for first, second in zip(*pairs, strict=True)
        for phase in (first, second)
    }
    assert len(names) == 2 * len(pairs[0]), "two phases have one name"
    return {
        "name": f"{one['name']} beside {other['name']}",
        "phases": [
            first
            | {
                "name": names[first["name"]],
                "duration": max(first["duration"], second["duration"], key=parse_duration),
                "faults": [*first["faults"], *second["faults"]],
            }
            for first, second in zip(*pairs, strict=True)
        ],
        "expected_alerts": [
            each | {"phase": names[each["phase"]]}
            for part in (one, other)
            for each in part["expected_alerts"]
        ],
        "limits": one.get("limits", {}) | other.get("limits", {}),
    }


def _alerts(part: dict[str, Any]) -> set[str]:
    return {each["alert"] for each in part["expected_alerts"]}


def _trimmed(phases: list[dict[str, Any]], *, first: bool, last: bool) -> list[dict[str, Any]]:
    """Phases without the quiet ones at the beginning and at the end, where they are not wanted."""
    noisy = [number for number, phase in enumerate(phases) if "faults" in phase]
    return phases[0 if first else noisy[0] : None if last else noisy[-1] + 1]
