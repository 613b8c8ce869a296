"""Faults that the load can't see: by what was written down of them as they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testbed.records import StoredEvent
from testbed.scenario import Scenario

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

FREEZE = {"kind": "freeze", "component": "collector"}
CPU = {"kind": "cpu", "component": "api", "workers": 2}
MEMORY = {"kind": "memory", "mib": 100}
DESCRIPTORS = {"kind": "file-descriptors", "component": "api"}
HTTP = {"kind": "http", "start": {"url": "http://api:9464/x"}, "end_with": {"url": "http://y"}}
DISK = {"kind": "disk-full", "component": "prometheus"}
EXEC = {"kind": "exec", "start": ["true"], "end_with": ["false"]}
LEAK = {"kind": "leak", "mib_per_second": 5}
HOSTILE = {"kind": "hostile", "rate": 1, "requests": ["deep", "slow"]}
SENT = {"sent": {"deep": 10, "slow": 9}, "lasted": 20.0}
RULES = {
    "kind": "rule-file",
    "replaces": "api.yml",
    "groups": [{"name": "api", "rules": [{"alert": "A", "expr": "1"}]}],
}
LIMITED = {"kind": "memory-limit", "component": "api", "mib": 200}
GROUP = {"limit": 200 * 2**20, "peak": 190 * 2**20, "met": 3, "killed": 0, "of": 2}
VERSION = {"kind": "bad-version"}
CHAOS = {"kind": "chaos", "action": {"name": "break it", "provider": {"type": "process"}}}
JOURNAL = {"took": True, "said": "it was completed"}
ROUTES = {"kind": "routes", "route": {"receiver": "critical"}}
NETWORK = {"kind": "network", "from": "api", "to": "collector", "delay": 1}


def fault_check(world: World, fault: dict[str, Any], seen: dict[str, Any] | None) -> Any:  # noqa: ANN401 - a result
    """The check of one more fault in the phase burst, of which this was seen."""
    world.scenario["phases"][1]["faults"].append(fault)
    label = Scenario.model_validate(world.scenario).phases[1].faults[-1].label
    if seen is not None:
        world.timeline.append(StoredEvent(1029.0, "fault_off", label, seen))
    return next(c for c in world.evaluate().checks if c.name == f"fault {label} in burst")


@pytest.mark.parametrize(
    ("fault", "seen", "took", "text"),
    [
        (FREEZE, {"frozen": 9.5, "of": 10, "processor": 0.0}, True, "stood still for 9.5 of 10.0"),
        (FREEZE, {"frozen": 7.0, "of": 10, "processor": 0.0}, False, "for 7.0 of 10.0 s"),
        (FREEZE, {"frozen": 9.5, "of": 10, "processor": 1.0}, False, "processor for 1.00 s"),
        (FREEZE | {"duty": 0.5}, {"frozen": 5, "of": 10, "processor": 0.0}, True, "5.0 of 10.0"),
        (
            CPU,
            {"busy": 9, "of": 10, "confined": 4, "threads": 4, "waited": 7.5},
            True,
            "which waited for 7.5 s together",
        ),
        (CPU, {"busy": 1, "of": 10, "confined": 4, "threads": 4}, False, "1.0 of 10.0 s"),
        (CPU, {"busy": 9, "of": 10, "confined": 3, "threads": 4}, False, "3 of 4 threads"),
        (MEMORY, {"resident": 108.0, "available": 5000}, True, "108 MiB, 5000 MiB were left"),
        (MEMORY, {"resident": 0.0, "available": 5000}, False, "occupied 0 MiB"),
        (DESCRIPTORS, {"processes": 2, "held": 2, "limit": 40, "open": 38}, True, "2 of its 2"),
        (DESCRIPTORS, {"processes": 2, "held": 1, "limit": 20, "open": 18}, False, "1 of its 2"),
        (HTTP, {"begin": 204, "end": 200}, True, "answered 204 and, to end it, 200"),
        (HTTP, {"begin": 404, "end": 200}, False, "answered 404"),
        (HTTP, {"begin": "ConnectError: refused", "end": None}, False, "refused"),
        (EXEC, {"begin": 0, "end": 0}, True, "ended with 0"),
        (EXEC, {"begin": 0, "end": "no exit within 10 s"}, False, "no exit within 10 s"),
        (DISK, {"written": 0, "free": 0}, True, "0 bytes could be written at the end"),
        (DISK, {"written": 10**6, "free": 0}, False, "1000000 bytes could be written"),
        (LEAK, {"before": 100.0, "after": 190.0}, True, "100 MiB before and 190 MiB after"),
        (LEAK, {"before": 100.0, "after": 110.0}, False, "110 MiB after"),
        (HOSTILE, SENT | {"answers": {"415": 19}}, True, "415 19 times"),
        (HOSTILE, SENT | {"answers": {"415": 18, "200": 1}}, False, "200 1 times"),
        (HOSTILE, SENT | {"answers": {"413": 18, "reset": 1}, "cut_short": 1}, True, "reset 1"),
        (HOSTILE, SENT | {"answers": {"413": 18, "reset": 1}, "cut_short": 0}, False, "reset 1"),
        (
            HOSTILE,
            SENT | {"answers": {"415": 19}, "lasted": 40.0},
            False,
            "10 deep, 9 slow",
        ),
        (RULES, {"rules": ["A"], "succeeded": True, "loaded": 1012.0}, True, "reload at +2.0 s"),
        (RULES, {"rules": [], "succeeded": False, "loaded": 900.0}, False, "no rule otherwise"),
        (RULES, {"refused": "it does not answer"}, False, "it does not answer"),
        (
            ROUTES,
            {"routes": True, "succeeded": True, "loaded": 1012.0},
            True,
            "other routes than before",
        ),
        (ROUTES, {"routes": False, "succeeded": True, "loaded": 1012.0}, False, "the same routes"),
        (
            LIMITED,
            GROUP | {"processes": 2},
            True,
            "200 MiB and used 190 at most; the limit was met 3",
        ),
        (LIMITED, GROUP | {"processes": 0}, False, "0 of 2 processes"),
        (VERSION, {"version": "b", "served": 2, "of": 2, "back": 2, "problem": ""}, True, "2 of 2"),
        (VERSION, {"version": "b", "served": 0, "of": 2, "back": 2, "problem": "no"}, False, "no"),
        (VERSION, {"version": "", "problem": "it did not end in time"}, False, "in time"),
        (CHAOS, {"begin": JOURNAL, "end": None}, True, "it was completed"),
        (CHAOS, {"begin": JOURNAL, "end": {"took": False, "said": "x"}}, False, "end it, x"),
        (NETWORK, {"probed": "was answered after 1.01 s", "took": True}, True, "after 1.01 s"),
        (NETWORK, {"probed": "was answered after 0.01 s", "took": False}, False, "after 0.01 s"),
        *(
            (fault, None, False, "nothing was")
            for fault in (FREEZE, CPU, MEMORY, DESCRIPTORS, DISK, HTTP, EXEC, NETWORK)
        ),
    ],
)
def test_what_was_seen_says_whether_it_took_hold(
    world: World, fault: dict[str, Any], seen: dict[str, Any] | None, *, took: bool, text: str
) -> None:
    """Not that it was begun."""
    check = fault_check(world, fault, seen)
    assert check.passed is took
    assert text in check.summary


@pytest.mark.parametrize(("signal", "took"), [(9, True), (15, False), (None, None)])
def test_a_killed_component_ended_by_that_signal(
    world: World, signal: int | None, *, took: bool | None
) -> None:
    """As its supervisor saw it."""
    if took is not None:
        details = {"signal": signal, "outcome": f"api (pid 7) was ended by {signal}"}
        world.timeline.append(StoredEvent(1010.5, "component_stopped", "api", details))
    check = fault_check(world, {"kind": "kill", "component": "api"}, None)
    assert check.passed is bool(took)
    assert ("never ended" if took is None else "at +0.5 s") in check.summary
