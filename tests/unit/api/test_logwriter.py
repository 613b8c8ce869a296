"""Group commit: durable before answered, and back by itself after a failure."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from testbed_api.log import writer as logwriter
from testbed_domain.logstore import PredictionRow

from tests.support.polling import PATIENCE, until

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio
# Milliseconds in which a request reaches the log, however busy the machine is.
BEGUN = "1000"


async def _until_ready(api: Api) -> None:
    deadline = time.monotonic() + PATIENCE
    while (await api.management.get("/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, api.writer.problem
        await asyncio.sleep(0.01)


async def test_requests_that_wait_are_written_in_one_group(api: Api) -> None:
    """While one commit runs, all others gather for the next."""
    api.log.gate.clear()
    first = asyncio.create_task(api.public.post("/predict", json=api.row))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    others = [asyncio.create_task(api.public.post("/predict", json=api.row)) for _ in range(20)]
    await until(lambda: api.writer._pending >= 21)
    api.log.gate.set()
    replies = await asyncio.gather(first, *others)
    assert api.log.groups == [1, 20]
    assert {reply.json()["prediction_id"] for reply in replies} == {row.id for row in api.log.rows}
    assert api.value("ml_prediction_log_rows_total", outcome="written") == 21
    assert api.value("ml_prediction_log_write_duration_seconds_count") == 2


async def test_requests_that_come_together_are_written_in_one_group(api: Api) -> None:
    """What the event loop finds in one go is one transaction, without any waiting."""
    row = PredictionRow("1", 0.0, None, "one", "model", "v1", {"a": 1}, "1", 0.5, {"1": 0.5})
    await asyncio.gather(*(api.writer.append([row._replace(id=str(n))]) for n in range(10)))
    assert api.log.groups == [10]


async def test_failing_log_refuses_predictions_and_recovers(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that fails gives 503 and a reason on /health/ready; when it works, so does the API."""
    monkeypatch.setattr(logwriter, "REOPEN_PAUSE", 0.01)
    api.log.write_error = OSError("disk full")
    api.log.open_error = OSError("disk full")
    reply = await api.public.post("/predict", json=api.row)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert api.errors("log") == 1
    assert api.requests("/predict", 503, error_type="503") == 1
    assert api.value("ml_prediction_log_rows_total", outcome="failed") == 1
    assert api.value("ml_predictions_total", model_version="v1", prediction_class="1") == 0
    ready = await api.management.get("/health/ready")
    assert ready.json()["problems"] == ["the prediction log fails: disk full"]
    assert (await api.public.post("/labels", json={"prediction_id": "a", "label": 1})).is_error
    api.log.write_error = api.log.open_error = None
    await _until_ready(api)
    assert (await api.public.post("/predict", json=api.row)).status_code == 200
    assert len(api.log.rows) == 1


async def test_log_that_opens_late_makes_the_api_ready_by_itself(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is needed for the log to be tried again."""
    monkeypatch.setattr(logwriter, "REOPEN_PAUSE", 0.01)
    api.log.write_error = OSError("gone")
    await api.public.post("/predict", json=api.row)
    api.log.write_error = None
    await _until_ready(api)
    assert api.log.opened == 2
    assert api.log.closed == 1


async def test_queue_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is too slow is felt as 503, not as memory without end."""
    monkeypatch.setattr(logwriter, "QUEUE_LIMIT", 1)
    api.log.gate.clear()
    first = asyncio.create_task(api.public.post("/predict", json=api.row))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    refused = await api.public.post("/predict", json=api.row)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert api.errors("log") == 1
    api.log.gate.set()
    assert (await first).status_code == 200


async def test_rows_are_safe_where_the_labels_of_their_group_fail(api: Api) -> None:
    """Labels that can't be stored don't turn durable predictions into errors."""
    api.log.gate.clear()
    first = asyncio.create_task(api.public.post("/predict", json=api.row))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    predicted = asyncio.create_task(api.public.post("/predict", json=api.row))
    label = {"prediction_id": "a", "label": 1}
    labelled = asyncio.create_task(api.public.post("/labels", json=label))
    await until(lambda: api.writer._pending >= 3)
    api.log.append_labels = _refuse  # type: ignore[method-assign]
    api.log.gate.set()
    statuses = [reply.status_code for reply in await asyncio.gather(first, predicted, labelled)]
    assert statuses == [200, 200, 503]
    assert len(api.log.rows) == 2


def _refuse(items: object) -> list[str]:
    raise OSError(f"no labels: {items}")


async def test_closing_writes_what_is_queued(make_api: ApiMaker) -> None:
    """The last rows are in the log when the process ends, and the log is closed."""
    async with make_api() as api:
        api.log.gate.clear()
        waiting = [asyncio.create_task(api.public.post("/predict", json=api.row)) for _ in range(5)]
        await until(lambda: api.writer._pending >= 5)
        closing = asyncio.create_task(api.writer.close())
        api.log.gate.set()
        await closing
        assert [reply.status_code for reply in await asyncio.gather(*waiting)] == [200] * 5
        assert (len(api.log.rows), api.log.closed) == (5, 1)


async def test_deadline_covers_the_log(api: Api) -> None:
    """Who waits for the log is refused when due; what was not begun by then is never written."""
    api.log.gate.clear()
    headers = {"X-Timeout-Ms": BEGUN}
    first = asyncio.create_task(api.public.post("/predict", json=api.row, headers=headers))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    rows = {"records": [api.row] * 3}
    second = asyncio.create_task(api.public.post("/predict", json=api.row, headers=headers))
    third = asyncio.create_task(api.public.post("/predict/batch", json=rows, headers=headers))
    replies = await asyncio.gather(first, second, third)
    assert [reply.status_code for reply in replies] == [503] * 3
    assert all("Retry-After" in reply.headers for reply in replies)
    assert api.errors("deadline") == 3
    assert not api.log.rows
    api.log.gate.set()
    assert (await api.public.post("/predict", json=api.row)).status_code == 200
    # The commit that was under way could not be called back: its row is in the log, and counts.
    assert len(api.log.rows) == 2
    assert api.value("ml_predictions_total", model_version="v1", prediction_class="1") == 2
    assert api.writer._pending == 0


async def test_commit_that_is_under_way_has_a_moment_more(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is in the log shortly after its deadline is answered, and not sent again."""
    monkeypatch.setattr(logwriter, "COMMIT_SECONDS", PATIENCE)
    api.log.gate.clear()
    headers = {"X-Timeout-Ms": BEGUN}
    first = asyncio.create_task(api.public.post("/predict", json=api.row, headers=headers))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    # This one came later, and has waited for longer than the first one's deadline by its end.
    second = await api.public.post("/predict", json=api.row, headers=headers)
    api.log.gate.set()
    assert (second.status_code, (await first).status_code) == (503, 200)
    assert len(api.log.rows) == 1


async def test_labels_have_the_deadline_of_the_settings(make_api: ApiMaker) -> None:
    """They don't wait for a log that is stuck either."""
    async with make_api(deadline=0.05) as api:
        api.log.gate.clear()
        first = asyncio.create_task(api.public.post("/predict", json=api.row))
        await asyncio.to_thread(api.log.writing.wait, PATIENCE)
        reply = await api.public.post("/labels", json={"prediction_id": "a", "label": 1})
        assert reply.status_code == 503
        assert (await first).status_code == 503


async def test_log_that_is_stuck_does_not_hold_up_the_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left after a while; nobody was answered for what is in it."""
    monkeypatch.setattr(logwriter, "CLOSE_SECONDS", 0.01)
    api.log.gate.clear()
    waiting = asyncio.create_task(api.public.post("/predict", json=api.row))
    await asyncio.to_thread(api.log.writing.wait, PATIENCE)
    async with asyncio.timeout(PATIENCE / 2):  # the gate itself gives up later
        await api.writer.close()
    waiting.cancel()
