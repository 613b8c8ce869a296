"""POST /labels: the truth, arriving later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testbed_api.log.writer import NoLog
from testbed_api.telemetry.instruments import Instruments

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


async def _predict(api: Api) -> str:
    reply = await api.public.post("/predict", json=api.row)
    return str(reply.json()["prediction_id"])


async def test_each_label_has_its_outcome(api: Api) -> None:
    """Stored, a second one for the same prediction, and one for none; all are counted."""
    known = await _predict(api)
    labels = [
        {"prediction_id": known, "label": 1},
        {"prediction_id": "none-such", "label": 0},
        {"prediction_id": known, "label": 0},
    ]
    reply = await api.public.post("/labels", json={"labels": labels})
    assert reply.status_code == 200
    assert [item["outcome"] for item in reply.json()["labels"]] == [
        "stored",
        "unknown",
        "duplicate",
    ]
    assert api.log.labels == {known: "1"}
    for outcome in ("stored", "unknown", "duplicate"):
        assert api.value("ml_labels_total", outcome=outcome) == 1


async def test_a_label_may_come_alone(api: Api) -> None:
    """One label needs no list around it."""
    known = await _predict(api)
    reply = await api.public.post("/labels", json={"prediction_id": known, "label": 0})
    assert reply.json() == {"labels": [{"prediction_id": known, "outcome": "stored"}]}


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"labels": [{"prediction_id": "a", "label": 2}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a", "label": True}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a", "label": 1.0}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a", "label": "1"}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a", "label": None}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a", "label": []}]}, ["labels", 0, "label"]),
        ({"labels": [{"prediction_id": "a b", "label": 1}]}, ["labels", 0, "prediction_id"]),
        ({"labels": [{"prediction_id": "a" * 37, "label": 1}]}, ["labels", 0, "prediction_id"]),
        ({"labels": [{"prediction_id": 7, "label": 1}]}, ["labels", 0, "prediction_id"]),
        ({"labels": [{"label": 1}]}, ["labels", 0, "prediction_id"]),
        ({"labels": [{"prediction_id": "a", "label": 1, "x": 1}]}, ["labels", 0, "x"]),
        ({"labels": []}, ["labels"]),
        ({"labels": [], "x": 1}, ["labels"]),
        ({"labels": {"prediction_id": "a", "label": 1}}, ["labels"]),
        ([], []),
    ],
)
async def test_wrong_labels_are_refused_naming_the_place(
    api: Api, body: object, location: list[str | int]
) -> None:
    """A class that the model doesn't know, an id that can't be one, and anything unknown."""
    reply = await api.public.post("/labels", json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["body", *location]
    assert api.errors("validation") == 0, "labels are no predictions"


async def test_number_of_labels_is_limited(make_api: ApiMaker) -> None:
    """More than the setting allows is refused whole."""
    label: dict[str, Any] = {"prediction_id": "a", "label": 1}
    async with make_api(labels_limit=2) as api:
        assert (await api.public.post("/labels", json={"labels": [label] * 2})).status_code == 200
        assert (await api.public.post("/labels", json={"labels": [label] * 3})).status_code == 422


async def test_labels_without_a_log_are_refused_saying_so(api: Api) -> None:
    """An API that keeps no predictions can't take labels for them."""
    api.service.writer = NoLog()
    reply = await api.public.post("/labels", json={"prediction_id": "a", "label": 1})
    assert reply.status_code == 404
    assert "TESTBED_API_LOG_URL" in reply.json()["detail"]
    assert (await api.public.post("/predict", json=api.row)).status_code == 200


async def test_counters_with_known_values_begin_at_zero(api: Api, instruments: Instruments) -> None:
    """Before anything happens the series are there, so that rules see the first increment."""
    del instruments
    registry = api.telemetry.registry
    assert registry.get_sample_value("ml_labels_total", {"outcome": "stored"}) == 0
    labels = {"model_version": "v1", "error_type": "log"}
    assert registry.get_sample_value("ml_prediction_errors_total", labels) == 0
