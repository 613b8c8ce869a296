"""A drift job that is asked to begin anew: it wakes up, and what it knew lies aside."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from testbed_drift.storage.renewal import Renewal, ask, renamed, requested

if TYPE_CHECKING:
    from pathlib import Path


def test_a_request_ends_a_wait(tmp_path: Path) -> None:
    """Within a second of it, whatever the interval; a stop ends it, too, and else it lasts."""
    waits: list[float] = []

    def slept(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 3:
            ask(tmp_path)
        return False

    wait = Renewal(tmp_path).interrupting(slept)
    assert not wait(0.0)
    assert not wait(0.5)
    assert wait(3600.0)
    assert len(waits) == 3
    assert wait(3600.0)
    (tmp_path / "begin-anew").unlink()
    assert Renewal(tmp_path).interrupting(lambda _: True)(3600.0)


def test_what_the_job_knew_is_put_aside(tmp_path: Path) -> None:
    """All of it, whole, under the time; a workspace stays, and what was put aside before."""
    for name in ("runs.jsonl", "position.json", "version-2/runs.jsonl", "workspace/one.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    renewal = Renewal(tmp_path, frozenset({"workspace"}))
    for now in (1000.0, 2000.0):
        ask(tmp_path)
        renewal.put_aside(now)
        assert not requested(tmp_path)
        (tmp_path / "runs.jsonl").write_text("later")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("before-1000.000", "before-2000.000", "runs.jsonl", "workspace")
    }
    aside = tmp_path / "before-1000.000"
    assert (aside / "version-2/runs.jsonl").read_text() == "version-2/runs.jsonl"
    assert {path.name for path in (tmp_path / "before-2000.000").iterdir()} == {"runs.jsonl"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("service.instance.id=drift-1", "service.instance.id=drift-1~7"),
        ("a=b,service.instance.id=drift-1~3,c=d", "a=b,service.instance.id=drift-1~7,c=d"),
        ("a=b", "a=b"),
    ],
)
def test_each_start_has_an_instance_of_its_own(before: str, after: str) -> None:
    """Else counters of two starts would share a series."""
    assert renamed(before, 7.2) == after


def test_a_process_starts_again_as_the_same_command(tmp_path: Path) -> None:
    """With its arguments, under the same id, and another instance."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from testbed_drift.storage.renewal import start_again
            print(os.getpid(), sys.argv[1:], os.environ["OTEL_RESOURCE_ATTRIBUTES"], flush=True)
            if "~" not in os.environ["OTEL_RESOURCE_ATTRIBUTES"]:
                start_again(7.0)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script), "watch", "two words"],
        env={"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=one"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.endswith("['watch', 'two words'] service.instance.id=one")
    assert second == f"{first}~7"
