"""Scenarios one after the other: which share a stack, and when it is stopped."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.errors import StackError, UsageError
from testbed.playsession import PlaySession, needs_own_stack
from testbed.resources import find_scenario
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.settings import Settings

from testbed import playsession

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENARIO = """
name: {name}
title: A
description: A.
phases: [{{name: normal, duration: {duration}, rate: 40}}]
"""


class Recorded:
    """Notes what would be started, played and stopped."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.folder = tmp_path
        for name in ("prepare", "prepare_attached", "running_stack", "describe"):
            monkeypatch.setattr(playsession, name, getattr(self, name))
        monkeypatch.setattr(PlaySession, "_played", self.played)

    def prepare(self, scenario: Any, options: RunOptions, *_: object, **__: object) -> Any:  # noqa: ANN401 - a stand-in
        """What a stack of its own would be given."""
        context = SimpleNamespace(claims=SimpleNamespace(release=lambda: None))
        layout = SimpleNamespace(timeline=self.folder / "timeline.jsonl")
        return SimpleNamespace(
            scenario=scenario, options=options, context=context, layout=layout, shared=False
        )

    def prepare_attached(self, scenario: Any, options: RunOptions, *_: object, **__: object) -> Any:  # noqa: ANN401 - a stand-in
        """What a run on the shared stack would be given."""
        return SimpleNamespace(scenario=scenario, options=options, shared=True)

    @contextmanager
    def running_stack(self, prepared: Any, *_: object) -> Iterator[None]:  # noqa: ANN401 - a stand-in
        """A stack."""
        self.done.append(f"start for {prepared.scenario.name}")
        yield
        self.done.append("stop")

    def describe(self, *_: object) -> Path:
        """The file of a stack."""
        return self.folder / "stack.json"

    def played(self, prepared: Any, _: object) -> None:  # noqa: ANN401 - a stand-in
        """The run; that of `broken` breaks."""
        self.done.append(f"play {prepared.scenario.name}{'' if prepared.shared else ' alone'}")
        if prepared.scenario.name == "broken":
            raise StackError("prometheus ended")

    def file(self, name: str, duration: str = "10m") -> str:
        """A scenario of normal traffic."""
        path = self.folder / f"{name}.yaml"
        path.write_text(SCENARIO.format(name=name, duration=duration))
        return str(path)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Nothing is really started."""
    return Recorded(tmp_path, monkeypatch)


def session(recorded: Recorded) -> PlaySession:
    """One with the defaults."""
    return PlaySession(
        Settings(home=recorded.folder), RunOptions(), say=lambda _: None, progress=lambda *_: None
    )


def test_scenarios_that_need_the_same_share_a_stack(recorded: Recorded) -> None:
    """One that needs another gets it, once the earlier one is stopped; the last one is, too."""
    with session(recorded) as playing:
        for file in (recorded.file("a"), recorded.file("b"), recorded.file("c", "30m")):
            playing.play(file)
    assert recorded.done == [
        *("start for a", "play a", "play b", "stop"),
        *("start for c", "play c", "stop"),
    ]


def test_a_session_executes_nothing_that_was_not_trusted(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test of others does, as no run does."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(recorded.folder / "config"))
    file = Path(recorded.file("a"))
    file.write_text(f"{file.read_text()}\nservice: {{command: rm -rf /}}\n")
    with session(recorded) as playing, pytest.raises(UsageError, match="not trusted"):
        playing.play(str(file))
    assert recorded.done == []


def test_a_stack_on_which_a_run_broke_is_stopped(recorded: Recorded) -> None:
    """The next scenario begins with one that nothing has happened to."""
    with session(recorded) as playing:
        with pytest.raises(StackError):
            playing.play(recorded.file("broken"))
        assert recorded.done[-1] == "stop"
        playing.play(recorded.file("a"))
    assert recorded.done.count("stop") == 2


def test_a_fault_of_a_process_is_played_alone(recorded: Recorded) -> None:
    """It needs hold of the processes, which only their own runner has."""
    with session(recorded) as playing:
        playing.play(recorded.file("a"))
        playing.play("collector-restart")
    assert recorded.done == ["start for a", "play a", "stop", "play collector-restart alone"]


@pytest.mark.parametrize(
    ("name", "alone"), [("error-burst", False), ("collector-restart", True), ("queue-full", True)]
)
def test_which_scenarios_need_their_own_stack(*, name: str, alone: bool) -> None:
    """By faults and by settings of the Collector."""
    assert needs_own_stack(read_scenario(find_scenario(name))) is alone
