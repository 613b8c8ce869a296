"""A model behind batching, deadlines and a cache, as callers of the API see it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from testbed_api.options import Serving
from testbed_api.serving.model import INLINE_SECONDS, _Observer
from testbed_otel import names
from testbed_otel.tracing import RequestTrace, reset_current, set_current

from tests.support.polling import until

if TYPE_CHECKING:
    import httpx
    from testbed_api.telemetry.instruments import Instruments

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


async def _busy(api: Api) -> asyncio.Task[httpx.Response]:
    """A request that holds the model."""
    calls = len(api.runtime.batches)
    api.runtime.gate.clear()
    task = asyncio.create_task(api.public.post("/predict", json=api.row))
    await until(lambda: len(api.runtime.batches) > calls)
    return task


def _batches(api: Api) -> float:
    return sum(
        api.value("ml_batch_dispatches_total", model_version="v1", reason=reason)
        for reason in dict(names.BATCH_DISPATCHES.values)[names.REASON]
    )


async def test_requests_that_wait_together_are_predicted_together(make_api: ApiMaker) -> None:
    """Each gets its own answer, row and count; the metrics show two batches."""
    async with make_api(batching="always") as api:
        first = await _busy(api)
        calls = len(api.runtime.batches)
        rest = [
            asyncio.create_task(api.public.post("/predict", json=api.row | {"Pregnancies": n}))
            for n in (1, 6, 2, 7)
        ]
        await until(lambda: _waiting(api) == 4)
        api.runtime.gate.set()
        replies = [await task for task in (first, *rest)]
        assert [reply.json()["prediction"] for reply in replies] == [1, 0, 1, 0, 1]
        assert [len(batch) for batch in api.runtime.batches[calls:]] == [4]
        assert len(api.log.rows) == 5
        counted = [
            api.value("ml_predictions_total", model_version="v1", prediction_class=label)
            for label in ("0", "1")
        ]
        assert counted == [2, 3]
        assert _batches(api) == 2
        assert api.value("ml_batch_size_sum", model_version="v1") == 5
        assert api.value("ml_batch_queue_wait_seconds_count", model_version="v1") == 5
        alone = api.value("ml_batch_dispatches_total", model_version="v1", reason="alone")
        assert alone == 1


def _waiting(api: Api) -> int:
    predictor: Any = api.service.versions.routing.champion._batcher
    return int(predictor.waiting)


@pytest.mark.parametrize(("batching", "inline"), [("always", False), ("never", True)])
async def test_setting_goes_before_the_measured_time(
    make_api: ApiMaker, batching: str, *, inline: bool
) -> None:
    """Operators may choose."""
    async with make_api(batching=batching) as api:
        assert api.service.versions.routing.champion.inline is inline


@pytest.mark.parametrize(
    ("seconds", "inline"), [(INLINE_SECONDS * 0.9, True), (INLINE_SECONDS * 1.1, False)]
)
async def test_slow_models_are_batched_fast_ones_are_not(
    make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch, seconds: float, *, inline: bool
) -> None:
    """The measured time of an inference decides."""
    monkeypatch.setattr("testbed_api.serving.model.measure", lambda *_: seconds)
    async with make_api() as api:
        assert api.service.versions.routing.champion.inline is inline


async def test_full_queue_is_503_with_a_time_to_come_back(make_api: ApiMaker) -> None:
    """Shed early, counted, not logged."""
    async with make_api(batching="always", batch_rows=1, queue_rows=1) as api:
        first = await _busy(api)
        second = asyncio.create_task(api.public.post("/predict", json=api.row))
        await until(lambda: _waiting(api) == 1)
        reply = await api.public.post("/predict", json=api.row)
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert api.errors("shed") == 1
        api.runtime.gate.set()
        assert {(await first).status_code, (await second).status_code} == {200}
        assert len(api.log.rows) == 2


async def test_caller_who_is_in_a_hurry_gets_503_in_time(make_api: ApiMaker) -> None:
    """X-Timeout-Ms is kept although the model is busy."""
    async with make_api(batching="always") as api:
        first = await _busy(api)
        headers = {"X-Timeout-Ms": "30"}
        reply = await api.public.post("/predict", json=api.row, headers=headers)
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert api.errors("deadline") == 1
        api.runtime.gate.set()
        assert (await first).status_code == 200
        assert len(api.log.rows) == 1


async def test_deadline_holds_for_models_that_are_not_batched(api: Api) -> None:
    """A prediction that is late before it began is not made."""
    await api.management.put("/faults", json={"latency": {"seconds": 0.05}})
    calls = len(api.runtime.batches)
    headers = {"X-Timeout-Ms": "10"}
    reply = await api.public.post("/predict", json=api.row, headers=headers)
    assert (reply.status_code, api.errors("deadline")) == (503, 1)
    assert len(api.runtime.batches) == calls


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "9" * 8, "²"])
async def test_timeout_that_is_none_is_refused(api: Api, value: str) -> None:
    """The header is named."""
    headers = {"X-Timeout-Ms": value.encode()}
    reply = await api.public.post("/predict", json=api.row, headers=headers)  # type: ignore[arg-type]
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["header", "X-Timeout-Ms"]


async def test_client_that_leaves_the_queue_leaves_no_prediction(make_api: ApiMaker) -> None:
    """A closed connection takes the request out of the queue: no row, counted as cancelled."""
    async with make_api(batching="always") as api:
        first = await _busy(api)
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        body = json.dumps(api.row).encode()
        messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        sent: list[Any] = []

        async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's own type
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/predict",
            "raw_path": b"/predict",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "server": ("api", 80),
        }
        task = asyncio.ensure_future(api.app(scope, messages.get, send))
        await until(lambda: _waiting(api) == 1)
        messages.put_nowait({"type": "http.disconnect"})
        await task
        assert sent[0]["status"] == 499
        assert api.requests("/predict", 499, error_type=names.DISCONNECT) == 1
        assert _waiting(api) == 0
        assert api.errors("cancelled") == 1
        api.runtime.gate.set()
        assert (await first).status_code == 200
        assert len(api.log.rows) == 1


async def test_cache_answers_equal_rows_without_the_model(make_api: ApiMaker) -> None:
    """A hit is a prediction of its own, with id, row and count; only the model is spared."""
    async with make_api(cache_size=2) as api:
        calls = len(api.runtime.batches)
        replies = [(await api.public.post("/predict", json=api.row)).json() for _ in range(3)]
        assert len(api.runtime.batches) == calls + 1
        assert len({reply["prediction_id"] for reply in replies}) == len(api.log.rows) == 3
        assert {reply["probability"] for reply in replies} == {0.75}
        for outcome, count in (("hit", 2), ("miss", 1)):
            value = api.value("ml_cache_requests_total", model_version="v1", outcome=outcome)
            assert value == count


async def test_cache_forgets_what_was_used_least_lately(make_api: ApiMaker) -> None:
    """It never holds more than it may."""
    async with make_api(cache_size=2) as api:
        calls = len(api.runtime.batches)
        for pregnancies in (1, 2, 1, 3, 1, 2):
            await api.public.post("/predict", json=api.row | {"Pregnancies": pregnancies})
        asked = [batch[0, 0] for batch in api.runtime.batches[calls:]]
        assert asked == [1, 2, 3, 2]


async def test_without_the_setting_nothing_is_kept(api: Api) -> None:
    """The cache is off by default."""
    assert Serving().cache == api.settings.cache_size == 0
    calls = len(api.runtime.batches)
    for _ in range(2):
        await api.public.post("/predict", json=api.row)
    assert len(api.runtime.batches) == calls + 2


async def test_batches_bear_no_trace(instruments: Instruments) -> None:
    """A batch is dispatched in the context of an earlier request, whose trace it isn't."""
    token = set_current(RequestTrace(1, 2, sampled=True))
    try:
        observer = _Observer(instruments, {names.MODEL_VERSION: "v1"})
        observer.dispatched("size", 2, [0.001, 0.002])
    finally:
        reset_current(token)
    for family, count in ((instruments.batch_size, 1), (instruments.batch_wait, 2)):
        ((_, child),) = family.children()
        assert sum(child.point().counts) == count
        assert child.point().exemplars == ()


async def test_requests_of_one_turn_are_one_batch(make_api: ApiMaker) -> None:
    """A fast model is asked once for all that is there, and metrics show it."""
    async with make_api(batching="auto") as api:
        calls = len(api.runtime.batches)
        rows = [api.row | {"Pregnancies": number} for number in (1, 7, 2)]
        scored = await asyncio.gather(*(api.service.predict(row, None) for row in rows))
        assert [reply["prediction"] for reply in scored] == [0, 1, 0]
        assert [len(batch) for batch in api.runtime.batches[calls:]] == [3]
        assert _batches(api) == 1
        assert api.value("ml_batch_size_sum", model_version="v1") == 3
        assert api.value("ml_batch_dispatches_total", model_version="v1", reason="turn") == 1


async def test_never_asks_the_model_for_each_alone(make_api: ApiMaker) -> None:
    """What the setting promises, and what benchmarks compare with."""
    async with make_api(batching="never") as api:
        calls = len(api.runtime.batches)
        await asyncio.gather(*(api.service.predict(api.row, None) for _ in range(3)))
        assert [len(batch) for batch in api.runtime.batches[calls:]] == [1, 1, 1]
