"""The retention task: old rows leave the log while the service goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from testbed_api.retention import DAY, keep_pruned
from testbed_domain.logstore import PredictionRow, open_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 10 * DAY
ROW = PredictionRow("0", 0.0, "r", "one", "model", "v1", {"a": 1}, "1", 0.75, {"0": 0.25})
INTERVAL = 0.01


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log with one prediction of each of the last ten days, the last with a label."""
    made = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(made) as log:
        log.append([ROW._replace(id=str(day), time=NOW - day * DAY) for day in range(10)])
        log.append_labels([("9", "1", NOW)])
    return made


def _ids(url: str) -> list[str]:
    with open_log(url) as log:
        return sorted(log.iter_ids())


async def _until(done: Callable[[], bool], task: asyncio.Task[None]) -> None:
    """Wait for it while the task goes on."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(done):
            assert not task.done(), task.exception()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.anyio
async def test_old_rows_go_round_after_round(url: str) -> None:
    """Those that come of age between two rounds go with the next one."""
    now = NOW
    task = asyncio.create_task(keep_pruned(url, 4.5, INTERVAL, lambda: now))
    await _until(lambda: _ids(url) == ["0", "1", "2", "3", "4"], task)
    now += 2 * DAY
    await _until(lambda: _ids(url) == ["0", "1", "2"], task)
    await _end(task)


@pytest.mark.anyio
async def test_a_log_that_fails_is_tried_again(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says why; nothing else of the service hears of it."""
    database, away = tmp_path / "log.db", tmp_path / "away.db"
    database.rename(away)
    database.mkdir()  # a path that no database can be opened at
    task = asyncio.create_task(keep_pruned(url, 4.5, INTERVAL, lambda: NOW))
    await _until(lambda: "cannot prune" in caplog.text, task)
    database.rmdir()
    away.rename(database)
    await _until(lambda: len(_ids(url)) == 5, task)
    await _end(task)
    assert not any(record.exc_info for record in caplog.records)
