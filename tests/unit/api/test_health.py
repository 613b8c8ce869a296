"""Health: what is wrong, for people and for balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed_api.serving.runtime import ModelError

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


async def test_health_says_what_is_served(api: Api) -> None:
    """Status, model, version and uptime are on /health, on both ports."""
    await api.public.post("/predict", json=api.row)
    for client in (api.public, api.management):
        body = (await client.get("/health")).json()
        assert body["status"] == "ok"
        assert (body["model"], body["model_version"]) == ("fake-forest", "v1")
        assert body["model_loaded"] is True
        assert body["uptime_seconds"] >= 0


async def test_readiness_names_what_is_missing(make_api: ApiMaker) -> None:
    """Until the model is loaded the process is alive, but not ready."""
    async with make_api(load=False) as api:
        assert (await api.management.get("/health/live")).status_code == 200
        reply = await api.management.get("/health/ready")
        assert reply.status_code == 503
        assert "the model is not loaded yet" in reply.json()["problems"]
        for client in (api.public, api.management):
            health = await client.get("/health")
            assert (health.status_code, health.json()["model_loaded"]) == (503, False)
        assert api.value("ml_model_loaded", model_name="fake-forest", model_version="v1") == 0
        await api.service.load()
        await api.public.post("/predict", json=api.row)  # only answered with an open log
        assert (await api.management.get("/health/ready")).status_code == 200
        assert api.value("ml_model_loaded", model_name="fake-forest", model_version="v1") == 1


async def test_model_that_does_not_load_stays_a_problem(make_api: ApiMaker) -> None:
    """The process lives on, says why it is of no use, and ml_model_loaded stays 0."""
    async with make_api(load=False) as api:
        api.runtime.load_error = ModelError("model.onnx is damaged")
        await api.service.load()
        reply = await api.management.get("/health/ready")
        assert "model.onnx is damaged" in reply.json()["problems"]
        assert api.value("ml_model_loaded", model_name="fake-forest", model_version="v1") == 0


async def test_process_that_shuts_down_is_not_ready(api: Api) -> None:
    """A balancer stops sending before the port closes."""
    api.service.draining = True
    reply = await api.management.get("/health/ready")
    assert (reply.status_code, reply.json()["problems"][-1:]) == (
        503,
        ["the process is shutting down"],
    )


async def test_public_port_can_hide_metrics_and_health(make_api: ApiMaker) -> None:
    """With the setting off only the management port shows it."""
    async with make_api(public_metrics=False) as api:
        for path in ("/metrics", "/health", "/health/live", "/health/ready"):
            assert (await api.public.get(path)).status_code == 404
            assert (await api.management.get(path)).status_code in {200, 503}
        assert "metrics" not in (await api.public.get("/")).json()
