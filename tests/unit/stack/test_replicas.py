"""The replicas' journal, read by the runner."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.layout import RunLayout
from testbed.stack.replicas import Replicas
from testbed.targets import BundledApi
from testbed.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

MANAGEMENT = ["127.0.0.1:9464", "127.0.0.1:9465"]


@pytest.fixture
def context(tmp_path: Path) -> Any:  # noqa: ANN401 - only what is needed of a context
    """A context of two replicas, none of which is started."""
    return SimpleNamespace(
        layout=RunLayout(tmp_path),
        configuration=SimpleNamespace(targets=tmp_path / "targets.json"),
        replicas=2,
        management=MANAGEMENT,
        target=BundledApi(),
        instances={"api": "api-x"},
        api_instances=[],
        serving={},
    )


def _targets(context: Any) -> dict[str, str]:  # noqa: ANN401 - made by a fixture
    groups = json.loads(context.configuration.targets.read_text())
    return {group["targets"][0]: group["labels"]["instance"] for group in groups}


def _write(context: Any, *lines: tuple[float, str, int, str]) -> None:  # noqa: ANN401 - made by a fixture
    with context.layout.replicas.open("a") as file:
        for time, event, number, instance in lines:
            entry = {"time": time, "event": event, "number": number, "instance": instance}
            more = {"why": "first", "pid": 5} if event == "started" else {}
            more |= {"how": "signal 9"} if event == "crashed" else {}
            file.write(json.dumps(entry | more) + "\n")


def test_each_start_is_a_target_and_an_instance(context: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """One that crashed stays the target of its address until the next one is there."""
    replicas = Replicas(context, Timeline(tmp_path / "timeline.jsonl"))
    replicas.begin()
    replicas.update()
    assert not context.configuration.targets.exists()
    _write(
        context, (1.0, "started", 0, "a-0"), (1.0, "started", 1, "a-1"), (2.0, "ready", 1, "a-1")
    )
    replicas.update()
    assert replicas.came_up()
    assert not replicas.came_up()
    assert _targets(context) == {MANAGEMENT[0]: "a-0", MANAGEMENT[1]: "a-1"}
    _write(context, (3.0, "crashed", 0, "a-0"))
    replicas.update()
    assert _targets(context)[MANAGEMENT[0]] == "a-0"
    _write(context, (4.0, "started", 0, "b-0"))
    replicas.update()
    assert context.serving == _targets(context) == {MANAGEMENT[0]: "b-0", MANAGEMENT[1]: "a-1"}
    assert context.api_instances == ["a-0", "a-1", "b-0"]


def test_the_timeline_reports_when_and_how(context: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """With the times of the journal, not those of its reading."""
    replicas = Replicas(context, Timeline(tmp_path / "timeline.jsonl"))
    _write(context, (1.0, "started", 0, "a-0"), (3.0, "crashed", 0, "a-0"))
    replicas.update()
    lines = [json.loads(line) for line in (tmp_path / "timeline.jsonl").read_text().splitlines()]
    assert lines == [
        {"time": 1.0, "event": "replica_started", "name": "a-0", "why": "first", "pid": 5},
        {"time": 3.0, "event": "replica_crashed", "name": "a-0", "outcome": "signal 9"},
    ]


def test_a_single_process_has_no_journal(context: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """Its id was given to it, and it is a target from its start on."""
    context.replicas, context.management = 1, MANAGEMENT[:1]
    replicas = Replicas(context, Timeline(tmp_path / "timeline.jsonl"))
    replicas.begin()
    replicas.update()
    assert context.serving == _targets(context) == {MANAGEMENT[0]: "api-x"}


def test_replicas_that_a_fault_kills_have_crashed(context: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """Those that serve; the timeline says that it was meant."""
    context.serving[MANAGEMENT[0]] = "a-0"
    Replicas(context, Timeline(tmp_path / "timeline.jsonl")).killed()
    event = json.loads((tmp_path / "timeline.jsonl").read_text())
    assert {"event": "replica_crashed", "name": "a-0", "why": "fault"}.items() <= event.items()


def test_replicas_that_are_hidden_are_no_targets_until_they_are_shown(
    context: Any,  # noqa: ANN401 - made by a fixture
    tmp_path: Path,
) -> None:
    """Not even those that start meanwhile."""
    replicas = Replicas(context, Timeline(tmp_path / "timeline.jsonl"))
    replicas.hide()
    _write(context, (1.0, "started", 0, "a-0"))
    replicas.update()
    assert _targets(context) == {}
    replicas.show()
    assert _targets(context) == context.serving == {MANAGEMENT[0]: "a-0"}
