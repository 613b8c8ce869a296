"""The retention task: old rows leave the log while the service goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from testbed_api.log.retention import DAY, KIND, Clock, prune_regularly
from testbed_api.notices import Notices
from testbed_domain.logstore import PredictionRow, open_log

from tests.support.polling import until
from tests.support.predictionlog import logged_ids

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import ApiMaker

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
        return sorted(logged_ids(log))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.anyio
async def test_old_rows_go_round_after_round(url: str) -> None:
    """Those that come of age between two rounds go with the next one."""
    now = NOW
    clock = Clock(lambda: now, lambda: now)
    task = asyncio.create_task(prune_regularly(url, 4.5, INTERVAL, clock))
    await until(lambda: _ids(url) == ["0", "1", "2", "3", "4"], 20, task)
    now += 2 * DAY
    await until(lambda: _ids(url) == ["0", "1", "2"], 20, task)
    await _end(task)


@pytest.mark.anyio
async def test_a_log_that_fails_is_tried_again(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says why; nothing else of the service hears of it."""
    database, away = tmp_path / "log.db", tmp_path / "away.db"
    database.rename(away)
    database.mkdir()  # a path that no database can be opened at
    clock = Clock(lambda: NOW, lambda: NOW)
    task = asyncio.create_task(prune_regularly(url, 4.5, INTERVAL, clock))
    await until(lambda: "cannot prune" in caplog.text, 20, task)
    database.rmdir()
    away.rename(database)
    await until(lambda: len(_ids(url)) == 5, 20, task)
    await _end(task)
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.anyio
@pytest.mark.parametrize("jump", [40 * DAY, 2 * DAY, -40 * DAY])
async def test_clock_that_is_set_deletes_nothing(url: str, jump: float) -> None:
    """The reason stands until the clock is right again; then retention goes on."""
    now, passed = NOW, 0.0
    notices = Notices()
    clock = Clock(lambda: now, lambda: passed)
    now += jump
    task = asyncio.create_task(prune_regularly(url, 4.5, INTERVAL, clock, notices))
    await until(lambda: bool(notices.texts), 20, task)
    (text,) = notices.texts
    assert f"{'forward' if jump > 0 else 'back'} by {abs(jump) / DAY:.2f} days" in text
    assert len(_ids(url)) == 10
    now -= jump
    await until(lambda: len(_ids(url)) == 5 and not notices.texts, 20, task)
    await _end(task)


@pytest.mark.anyio
async def test_clock_that_was_wrong_from_the_start_does_not_empty_the_log(url: str) -> None:
    """More than half of the log at once needs a person."""
    notices = Notices()
    clock = Clock(lambda: NOW + 40 * DAY, lambda: 0.0)
    task = asyncio.create_task(prune_regularly(url, 4.5, INTERVAL, clock, notices))
    await until(lambda: bool(notices.texts), 20, task)
    assert "10 of 10 predictions" in notices.texts[0]
    assert "--more-than-half" in notices.texts[0]
    assert len(_ids(url)) == 10
    await _end(task)


@pytest.mark.anyio
async def test_refusal_is_on_readiness(make_api: ApiMaker) -> None:
    """The service is degraded while predictions stay that should be gone."""
    async with make_api() as api:
        api.service.notices.put(KIND, "no old predictions are deleted: why")
        ready = (await api.management.get("/health/ready")).json()
        assert ready["status"] == "degraded"
        assert ready["warnings"] == ["no old predictions are deleted: why"]
