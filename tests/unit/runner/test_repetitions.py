"""Repetitions of the catalogue: what is recorded of each, and what they say together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from testbed.errors import EXIT_COULD_NOT_RUN
from testbed.repetitions import read_repetitions, summary
from testbed.runoptions import RunOptions
from testbed.sidebyside import Ended

from testbed import playall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from testbed.sidebyside import Command


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Exit codes of scenarios, which end at once; of others 0."""
    codes: dict[str, int] = {}

    def run(commands: Sequence[Command], _jobs: int, report: Callable[[Ended], None]) -> None:
        for each in commands:
            code = codes.get(each.name, 0)
            if code == EXIT_COULD_NOT_RUN and each.log.parent.name == playall.ALONE:
                code = 0
            folder = each.log.parent / each.name
            folder.mkdir()
            each.log.touch()
            check = {"passed": not code, "stage": "rule", "summary": "never fired"}
            slow = "the machine was too slow" if code == EXIT_COULD_NOT_RUN else None
            verdict = {"checks": [check], "too_slow": slow}
            (folder / "verdict.json").write_text(json.dumps(verdict))
            report(Ended(each, code, 1.0))

    monkeypatch.setattr(playall, "run_side_by_side", run)
    return codes


def test_each_repetition_is_a_line(ended: dict[str, int], tmp_path: Path) -> None:
    """With seed, stacks at a time, and why a run did not pass; together they claim no more."""
    names, file = ["normal", "queue-full"], tmp_path / "played.jsonl"
    assert read_repetitions(file) == ()
    for seed in (1, 2):
        options = RunOptions(seed=seed)
        assert playall.play_all(names, tmp_path / f"{seed}", 3, options, recorded=file) == 0
    both = read_repetitions(file)
    assert [(each.seed, each.jobs, each.scenarios, each.missed) for each in both] == [
        (1, 3, 2, {}),
        (2, 3, 2, {}),
    ]
    assert summary(both) == (
        "4 runs in 2 repetitions, 4 passed: with 95 % confidence, fewer than 75.0 % of such runs "
        "fail"
    )
    ended["queue-full"] = 1
    assert playall.play_all(names, tmp_path / "3", 3, RunOptions(seed=3), recorded=file) == 1
    all_three = read_repetitions(file)
    assert all_three[-1].missed == {"queue-full": "rule: never fired"}
    assert summary(all_three) == "6 runs in 3 repetitions, 5 passed, 1 did not"


def test_what_takes_processors_away_is_played_last_and_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Others would lack them, and it theirs."""
    asked: list[tuple[int, list[str]]] = []
    monkeypatch.setattr(
        playall,
        "run_side_by_side",
        lambda commands, jobs, _report: asked.append((jobs, [each.name for each in commands])),
    )
    names = ["api-out-of-cpu", "normal", "queue-full"]
    playall.play_all(names, tmp_path / "out", 3, RunOptions())
    assert asked == [(3, ["queue-full", "normal"]), (1, ["api-out-of-cpu"])]


@pytest.mark.parametrize(("jobs", "code", "again"), [(2, 0, ("queue-full",)), (1, 2, ())])
def test_what_is_too_slow_beside_others_is_played_once_more_alone(
    ended: dict[str, int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    jobs: int,
    code: int,
    again: tuple[str, ...],
) -> None:
    """One that had nothing beside it, or failed, is not; what was repeated is said."""
    names, file = ["normal", "queue-full", "demo"], tmp_path / "played.jsonl"
    ended["queue-full"] = EXIT_COULD_NOT_RUN
    found = playall.play_all(names, tmp_path / "out", jobs, RunOptions(), recorded=file)
    assert found == code
    (line,) = read_repetitions(file)
    assert (line.again, line.scenarios, bool(line.missed)) == (again, 3, bool(code))
    said = capsys.readouterr().out
    assert ("too slow beside others, and once more alone: queue-full" in said) is bool(again)
    ended["demo"] = 1
    assert playall.play_all(names, tmp_path / "failed", jobs, RunOptions(), recorded=file) != 0
    assert "demo" in read_repetitions(file)[-1].missed
