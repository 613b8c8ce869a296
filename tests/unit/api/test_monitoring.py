"""Endpoints of the preset `titanic`: totals for people, and entries by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testbed_api.http.monitoring import ENTRY_LIMIT

if TYPE_CHECKING:
    import httpx

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


async def _enter(api: Api, what: str, **parameters: Any) -> httpx.Response:  # noqa: ANN401 - any value
    return await api.public.post(f"/monitoring/test/{what}", params=parameters)


async def test_stats_are_the_metrics(api: Api) -> None:
    """Totals, means and breakdowns, the same on both ports; looking changes nothing."""
    for _ in range(3):
        await api.public.post("/predict", json=api.row)
    await api.public.post("/predict", json=api.row | {"Pregnancies": 1})
    await api.public.post("/predict", json={})
    first, second = [
        (await client.get("/monitoring/stats")).json() for client in (api.public, api.management)
    ]
    assert first["status"] == "ok"
    assert (first["predictions"], first["requests"]) == (4, 5)
    assert first["predictions_by_version"] == {"v1": 4}
    assert first["predictions_by_class"] == {"0": 1, "1": 3}
    assert first["mean_confidence"] == pytest.approx((3 * 0.75 + 0.875) / 4)
    assert first["mean_inference_seconds"] > 0
    assert (first["errors"], first["errors_by_type"]["validation"]) == (1, 1)
    assert first["accuracy_by_version"] == {}
    del first["uptime_seconds"], second["uptime_seconds"]
    assert first == second


async def test_stats_of_nothing_have_no_means(api: Api) -> None:
    """Before the first prediction there is nothing to divide by."""
    body = (await api.public.get("/monitoring/stats")).json()
    assert (body["predictions"], body["mean_confidence"]) == (0, None)


async def test_entries_need_a_setting(api: Api) -> None:
    """Without it nobody can put numbers among the real ones."""
    reply = await _enter(api, "prediction", model_version="x", prediction_class="y", confidence=1)
    assert reply.status_code == 404
    assert (await _enter(api, "accuracy", model_version="x", accuracy=1)).status_code == 404


async def test_entries_are_recorded(make_api: ApiMaker) -> None:
    """A prediction and an accuracy stand under the version that was named, and in no log."""
    async with make_api(monitoring_test_enabled=True) as api:
        entry = {"model_version": "test-1", "prediction_class": "survived", "confidence": 0.75}
        reply = await _enter(api, "prediction", **entry)
        assert (reply.status_code, reply.json()) == (201, entry)
        assert (await _enter(api, "accuracy", model_version="test-1", accuracy=0.5)).is_success
        labels = {"model_version": "test-1", "prediction_class": "survived"}
        assert api.value("ml_predictions_total", **labels) == 1
        assert api.value("ml_prediction_probability_sum", **labels) == 0.75
        assert api.value("ml_model_accuracy", model_version="test-1") == 0.5
        stats = (await api.public.get("/monitoring/stats")).json()
        assert stats["accuracy_by_version"] == {"test-1": 0.5}
        assert api.log.rows == []


async def test_entries_are_not_mixed_with_real_traffic(make_api: ApiMaker) -> None:
    """The version of a loaded model is refused, so its numbers stay true."""
    async with make_api(monitoring_test_enabled=True) as api:
        reply = await _enter(
            api, "prediction", model_version="v1", prediction_class="1", confidence=1
        )
        assert reply.status_code == 409
        assert (await _enter(api, "accuracy", model_version="v1", accuracy=1)).status_code == 409
        assert api.value("ml_predictions_total", model_version="v1", prediction_class="1") == 0
        assert api.value("ml_model_accuracy", model_version="v1") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": "1.5"},
        {"confidence": "nan"},
        {"confidence": "inf"},
        {"confidence": "much"},
        {"model_version": ""},
        {"model_version": "x" * 65},
        {"prediction_class": 'a"b'},
        {"prediction_class": "a\n"},
    ],
)
async def test_wrong_entries_are_refused(make_api: ApiMaker, wrong: dict[str, str]) -> None:
    """The answer names the parameter and doesn't repeat what was sent; nothing is counted."""
    entry = {"model_version": "x", "prediction_class": "y", "confidence": "0.5"}
    async with make_api(monitoring_test_enabled=True) as api:
        reply = await _enter(api, "prediction", **(entry | wrong))
        assert reply.status_code == 422
        (problem,) = reply.json()["detail"]
        assert problem["loc"] == ["query", *wrong]
        assert set(problem) == {"loc", "msg", "type"}
        assert (await api.public.get("/monitoring/stats")).json()["predictions"] == 0


async def test_entries_make_few_series(make_api: ApiMaker) -> None:
    """Whoever invents versions or classes for ever gets them counted together."""
    async with make_api(monitoring_test_enabled=True) as api:
        for number in range(ENTRY_LIMIT + 5):
            await _enter(
                api, "prediction", model_version=f"m{number}", prediction_class="c", confidence=1
            )
            await _enter(
                api, "prediction", model_version="m0", prediction_class=f"c{number}", confidence=1
            )
        stats = (await api.public.get("/monitoring/stats")).json()
        assert stats["predictions_by_version"]["other"] == 5
        assert stats["predictions_by_class"]["other"] == 6
        assert len(stats["predictions_by_version"]) == ENTRY_LIMIT + 2, "v1 and other join"
