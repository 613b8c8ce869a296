"""POST /predict: what comes back, and what is kept."""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


async def test_reply_has_class_probabilities_id_and_version(api: Api) -> None:
    """The reply carries the class as the schema has it, and all that labels need later."""
    reply = await api.public.post("/predict", json=api.row)
    body = reply.json()
    assert reply.status_code == 200
    assert body.pop("prediction_id") == api.log.rows[0].id
    assert body == {
        "prediction": 1,
        "probability": 0.75,
        "probabilities": {"0": 0.25, "1": 0.75},
        "model_version": "v1",
        "synthetic": True,
    }


async def test_row_in_the_log_is_the_prediction(api: Api) -> None:
    """The log holds the validated features, the answer and who gave it."""
    await api.public.post("/predict", json=api.row, headers={"X-Request-ID": "req-1"})
    (row,) = api.log.rows
    assert row.features == api.row
    assert (row.prediction, row.probability) == ("1", 0.75)
    assert (row.model_name, row.model_version) == ("fake-forest", "v1")
    assert (row.time, row.request_id) == (1000.0, "req-1")
    assert row.instance == api.telemetry.instance_id


async def test_missing_nullable_feature_reaches_the_model_as_nan(api: Api) -> None:
    """A feature that may be missing is logged as None and encoded as NaN."""
    del api.row["Fare"]
    assert (await api.public.post("/predict", json=api.row)).status_code == 200
    assert api.log.rows[0].features["Fare"] is None
    assert math.isnan(api.runtime.batches[-1][0, 3])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123", "abc-123"),
        ("x" * 64, "x" * 64),
        ("x" * 65, None),
        ("tab\there", None),
        ("", None),
    ],
)
async def test_request_id_is_echoed_if_it_is_short_and_printable(
    api: Api, sent: str, kept: str | None
) -> None:
    """A usable X-Request-ID is logged and echoed, any other is ignored."""
    reply = await api.public.post("/predict", json=api.row, headers={"X-Request-ID": sent})
    assert reply.headers.get("X-Request-ID") == kept
    assert api.log.rows[0].request_id == kept


async def test_request_id_comes_back_with_errors_too(api: Api) -> None:
    """Whoever gets an error finds the request again as well."""
    reply = await api.public.post("/predict", json={}, headers={"X-Request-ID": "r"})
    assert (reply.status_code, reply.headers["X-Request-ID"]) == (422, "r")


async def test_reply_waits_until_the_row_is_durable(api: Api) -> None:
    """While the commit hangs there is no answer."""
    api.log.gate.clear()
    waiting = asyncio.create_task(api.public.post("/predict", json=api.row))
    await asyncio.to_thread(api.log.writing.wait, 10)
    assert not waiting.done()
    api.log.gate.set()
    assert (await waiting).status_code == 200


async def test_prediction_before_the_model_is_loaded_is_refused(make_api: ApiMaker) -> None:
    """Not loaded yet means 503 with a time to come back, and nothing is logged."""
    async with make_api(load=False) as api:
        reply = await api.public.post("/predict", json=api.row)
        assert reply.status_code == 503
        assert reply.headers["Retry-After"] == "1"
        assert api.errors("not_ready") == 1
        assert not api.log.rows


async def test_model_that_fails_gives_500_without_its_message(api: Api) -> None:
    """What the model says is for the operator's log, not for the caller."""
    api.runtime.predict_error = RuntimeError("secret")
    reply = await api.public.post("/predict", json=api.row)
    assert (reply.status_code, reply.json()) == (500, {"detail": "the model failed"})
    assert api.errors("model") == 1
    assert not api.log.rows


async def test_unforeseen_error_is_counted_as_other(api: Api) -> None:
    """A bug gives 500, and the metrics show it."""
    api.service.new_id = lambda: 1 // 0  # type: ignore[assignment,return-value]
    reply = await api.public.post("/predict", json=api.row)
    assert reply.status_code == 500
    assert api.errors("other") == 1


async def test_page_about_the_service_names_the_use_case_and_synthetic_data(api: Api) -> None:
    """GET / reports what this is and where to go on."""
    body = (await api.public.get("/")).json()
    assert (body["use_case"], body["synthetic"], body["docs"]) == ("fake", True, "/docs")


async def test_documentation_describes_every_feature(api: Api) -> None:
    """The OpenAPI page is made from the artefact's schema, with bounds and an example."""
    page = (await api.public.get("/openapi.json")).json()
    content = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    properties = content["schema"]["properties"]
    assert list(properties) == list(api.row)
    assert properties["Pregnancies"]["maximum"] == 50
    assert content["schema"]["required"] == ["Pregnancies", "BMI (kg/m²)", "schema"]
    assert content["example"]["BMI (kg/m²)"] == 33.6


async def test_documentation_needs_nothing_from_elsewhere(api: Api) -> None:
    """The page names no other host, and the API serves every file that the page names."""
    page = (await api.public.get("/docs")).text
    files = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/")
        assert (await api.public.get(file)).status_code == 200
    assert "//" not in re.sub(r"<!--.*?-->|// .*", "", page)
