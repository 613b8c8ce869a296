"""Champion and challenger: who answers, and changes that no request notices."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_api.errors import ApiError
from testbed_api.serving.runtime import ModelError
from testbed_api.serving.versions import bucket

from tests.support.polling import until

from .conftest import FakeRuntime

if TYPE_CHECKING:
    from testbed_api.serving.model import ServedModel
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Feature

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio


class Contrary(FakeRuntime):
    """Says the opposite of the other fake."""

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """See ``ModelRuntime``."""
        return super().predict(batch)[:, ::-1]


def _model(api: Api, version: str, runtime: FakeRuntime | None = None) -> ServedModel:
    artefact = dataclasses.replace(api.service.champion, version=version)
    return api.service.model(artefact, runtime or Contrary())


async def _predict(api: Api, key: str = "k") -> dict[str, Any]:
    reply = await api.public.post("/predict", json=api.row, headers={"X-Routing-Key": key})
    answer: dict[str, Any] = reply.raise_for_status().json()
    return answer


def _shadowed(api: Api, outcome: str) -> float:
    return api.value("ml_shadow_predictions_total", model_version="v2", outcome=outcome)


def _loaded(api: Api) -> dict[str, float]:
    """Version to what ml_model_loaded says of it."""
    return {
        sample.labels["model_version"]: sample.value
        for family in api.telemetry.registry.collect()
        for sample in family.samples
        if sample.name == "ml_model_loaded"
    }


def test_bucket_is_stable_and_even() -> None:
    """The same key falls in the same place in every process; places are spread evenly."""
    assert bucket("customer-1") == pytest.approx(0.95405, abs=1e-5)
    ratio = sum(bucket(str(number)) < 0.1 for number in range(10_000)) / 10_000
    assert ratio == pytest.approx(0.1, abs=0.01)


async def test_split_follows_the_key(api: Api) -> None:
    """A key's version stays, the share is kept; replies, rows and metrics carry the version."""
    await api.service.versions.challenge(_model(api, "v2"), split=0.3, shadow=False)
    versions = {}
    for number in range(200):
        key = f"customer-{number}"
        versions[key] = (await _predict(api, key))["model_version"]
    for key, version in list(versions.items())[:20]:
        assert (await _predict(api, key))["model_version"] == version
    assert all((version == "v2") == (bucket(key) < 0.3) for key, version in versions.items())
    answered = Counter(row.model_version for row in api.log.rows)
    assert 30 < answered["v2"] < 100
    for version in ("v1", "v2"):
        counted = sum(
            api.value("ml_predictions_total", model_version=version, prediction_class=label)
            for label in ("0", "1")
        )
        assert counted == answered[version]
        assert api.value("ml_model_loaded", model_name="fake-forest", model_version=version) == 1
    assert api.value("ml_model_traffic_ratio", model_version="v1") == pytest.approx(0.7)
    assert api.value("ml_model_traffic_ratio", model_version="v2") == pytest.approx(0.3)


async def test_errors_bear_the_version_that_failed(api: Api) -> None:
    """A challenger that fails is distinguished from a champion that doesn't."""
    broken = Contrary()
    await api.service.versions.challenge(_model(api, "v2", broken), split=1.0, shadow=False)
    broken.predict_error = RuntimeError("broken")
    reply = await api.public.post("/predict", json=api.row, headers={"X-Routing-Key": "k"})
    assert reply.status_code == 500
    assert (await api.public.post("/predict", json={})).status_code == 422
    counted = {
        (version, kind): api.value(
            "ml_prediction_errors_total", model_version=version, error_type=kind
        )
        for version in ("v1", "v2")
        for kind in ("model", "validation")
    }
    # What is refused before a version is chosen counts for the champion.
    assert counted == {
        ("v1", "model"): 0,
        ("v2", "model"): 1,
        ("v1", "validation"): 1,
        ("v2", "validation"): 0,
    }


async def test_shadow_is_seen_in_metrics_only(api: Api) -> None:
    """The champion answers everything; one row and one count per request; agreement is counted."""
    runtime = FakeRuntime()
    await api.service.versions.challenge(_model(api, "v2", runtime), split=0.0, shadow=True)
    for _ in range(3):
        assert (await _predict(api))["model_version"] == "v1"
    await until(lambda: _shadowed(api, "agreed") == 3)
    runtime.predict_error = RuntimeError("broken")
    await _predict(api)
    await until(lambda: _shadowed(api, "failed") == 1)
    assert [row.model_version for row in api.log.rows] == ["v1"] * 4
    assert api.value("ml_predictions_total", model_version="v2", prediction_class="1") == 0
    assert api.errors("model") == 0


async def test_shadow_that_disagrees_is_counted_so(api: Api) -> None:
    """The figure that a promotion is decided by."""
    await api.service.versions.challenge(_model(api, "v2", Contrary()), split=0.0, shadow=True)
    await api.public.post("/predict/batch", json={"records": [api.row] * 5})
    await until(lambda: _shadowed(api, "disagreed") == 5)


async def test_slow_shadow_is_dropped_not_waited_for(make_api: ApiMaker) -> None:
    """A challenger that hangs holds up no request."""
    async with make_api(batching="always") as api:
        runtime = FakeRuntime()
        await api.service.versions.challenge(_model(api, "v2", runtime), split=0.0, shadow=True)
        runtime.gate.clear()
        try:
            for _ in range(70):
                assert (await _predict(api))["model_version"] == "v1"
            assert _shadowed(api, "dropped") == 6
        finally:
            runtime.gate.set()


async def test_promotion_and_rollback_lose_no_request(make_api: ApiMaker, tmp_path: Any) -> None:  # noqa: ANN401 - pytest's own
    """Requests that run meanwhile are all answered, each by the version that it began with."""
    del tmp_path
    async with make_api(batching="always") as api:
        versions = api.service.versions
        await versions.challenge(_model(api, "v2"), split=0.5, shadow=False)
        stop = False
        answers: list[str] = []

        async def client(number: int) -> None:
            count = 0
            while not stop:
                count += 1
                answer = await _predict(api, f"{number}-{count}")
                expected = 1 if answer["model_version"] == "v1" else 0
                assert answer["prediction"] == expected
                answers.append(answer["model_version"])

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        for change in ("promote", "rollback", "rollback", "rollback"):
            seen = len(answers)
            await until(lambda seen=seen: len(answers) > seen + 20)  # type: ignore[misc]
            reply = await api.management.post(f"/models/{change}")
            assert reply.status_code == 200, reply.text
        await versions.challenge(_model(api, "v3"), split=0.5, shadow=False)
        await versions.promote()
        seen = len(answers)
        await until(lambda: len(answers) > seen + 20)
        stop = True
        await asyncio.gather(*clients)
        assert len(answers) == len(api.log.rows)
        assert Counter(answers) == Counter(row.model_version for row in api.log.rows)
        assert versions.routing.champion.artefact.version == "v3"
        assert api.value("ml_model_traffic_ratio", model_version="v3") == 1
        assert set(answers) == {"v1", "v2", "v3"}


async def test_request_keeps_the_model_that_it_began_with(make_api: ApiMaker) -> None:
    """A version that is withdrawn answers those who wait for it, then ends."""
    async with make_api(batching="always") as api:
        runtime = Contrary()
        challenger = _model(api, "v2", runtime)
        await api.service.versions.challenge(challenger, split=1.0, shadow=False)
        calls = len(runtime.batches)
        runtime.gate.clear()
        waiting = [asyncio.create_task(_predict(api)) for _ in range(3)]
        await until(lambda: len(runtime.batches) > calls and challenger.users == 3)
        assert (await api.management.delete("/models/challenger")).status_code == 200
        assert api.value("ml_model_traffic_ratio", model_version="v2") == 0
        assert (await _predict(api))["model_version"] == "v1"
        runtime.gate.set()
        assert {(await task)["model_version"] for task in waiting} == {"v2"}
        assert challenger._closing is not None
        await challenger._closing


async def test_challenger_that_does_not_load_or_fit_changes_nothing(api: Api) -> None:
    """The answer says why; the champion goes on alone."""
    broken = Contrary()
    broken.load_error = ModelError("model.onnx is damaged")
    champion = api.service.champion
    other = dataclasses.replace(
        champion, version="v2", schema=dataclasses.replace(champion.schema, classes=(0, 1, 2))
    )
    for model, message in (
        (_model(api, "v2", broken), "damaged"),
        (
            api.service.model(other, Contrary()),
            "champion's: classes is (0, 1, 2)",
        ),
        (_model(api, "v1"), "itself"),
    ):
        with pytest.raises(ApiError) as refused:
            await api.service.versions.challenge(model, split=1.0, shadow=False)
        assert (refused.value.status, message in str(refused.value.detail)) == (409, True)
    assert (await _predict(api))["model_version"] == "v1"
    assert api.service.problems == []
    assert api.value("ml_model_loaded", model_name="fake-forest", model_version="v1") == 1
    assert _loaded(api) == {"v1": 1}


async def test_versions_that_left_are_not_missed(api: Api) -> None:
    """Neither who was withdrawn nor who was champion long ago looks like one that did not load."""
    versions = api.service.versions
    await versions.challenge(_model(api, "v2"), split=0.5, shadow=False)
    assert _loaded(api) == {"v1": 1, "v2": 1}
    await versions.withdraw()
    assert _loaded(api) == {"v1": 1}
    for version in ("v3", "v4"):
        await versions.challenge(_model(api, version), split=0.0, shadow=False)
        await versions.promote()
    assert _loaded(api) == {"v3": 1, "v4": 1}


async def test_version_that_comes_again_stays_loaded(api: Api) -> None:
    """The end of the old one of the same version doesn't make the new one look unloaded."""
    for _ in range(2):
        await api.service.versions.challenge(_model(api, "v2"), split=1.0, shadow=False)
    assert api.value("ml_model_loaded", model_name="fake-forest", model_version="v2") == 1
    assert (await _predict(api))["model_version"] == "v2"


async def test_another_imputation_is_no_other_schema(api: Api) -> None:
    """What training learnt for the encoding travels with each model; a bound names its field."""
    champion = api.service.champion
    first, *others = champion.schema.features

    def version(name: str, feature: Feature) -> ServedModel:
        schema = dataclasses.replace(champion.schema, features=(feature, *others))
        return api.service.model(
            dataclasses.replace(champion, version=name, schema=schema), Contrary()
        )

    bounded = dataclasses.replace(first, maximum=7.5)
    with pytest.raises(ApiError) as refused:
        await api.service.versions.challenge(version("v2", bounded), split=1.0, shadow=False)
    assert f"maximum of the feature {first.name!r} is 7.5, not " in str(refused.value.detail)
    filled = dataclasses.replace(first, fill=3.25, description="as of today")
    await api.service.versions.challenge(version("v3", filled), split=0.0, shadow=False)
    challenger = api.service.versions.routing.challenger
    assert challenger is not None
    assert challenger.artefact.version == "v3"


@pytest.mark.slow
async def test_what_cannot_be_done_is_409(api: Api) -> None:
    """Nothing to promote, nothing to roll back to, no artefact there; wrong bodies are 422."""
    assert (await api.management.post("/models/promote")).status_code == 409
    assert (await api.management.post("/models/rollback")).status_code == 409
    reply = await api.management.put("/models/challenger", json={"artefact": "/nothing/here"})
    assert (reply.status_code, "no model artefact" in reply.json()["detail"]) == (409, True)
    for body in ({}, {"artefact": "x", "split": 2}, {"artefact": 1}):
        reply = await api.management.put("/models/challenger", json=body)
        assert reply.status_code == 422
    assert (await api.management.put("/models/traffic", json={"split": -1})).status_code == 422
    assert (await api.public.post("/models/promote")).status_code == 404


async def test_artefact_is_loaded_by_its_path(api: Api, small_artefact: Artefact) -> None:
    """The operator names a folder; one of another schema is refused."""
    body = {"artefact": str(small_artefact.path), "split": 0.5}
    reply = await api.management.put("/models/challenger", json=body)
    assert (reply.status_code, "schema" in reply.json()["detail"]) == (409, True)


async def test_traffic_is_changed_without_loading(api: Api) -> None:
    """The share goes up step by step."""
    await api.service.versions.challenge(_model(api, "v2"), split=0.0, shadow=False)
    assert (await _predict(api))["model_version"] == "v1"
    await api.management.put("/models/traffic", json={"split": 1.0})
    assert (await _predict(api))["model_version"] == "v2"


async def test_model_page_reports_schema_versions_and_metrics(api: Api) -> None:
    """GET /model is for callers: what goes in, what comes out, how good it is."""
    await api.service.versions.challenge(_model(api, "v2"), split=0.25, shadow=True)
    body = (await api.public.get("/model")).json()
    assert [feature["name"] for feature in body["schema"]["features"]] == list(api.row)
    assert (body["version"], body["split"], body["shadow"]) == ("v1", 0.25, True)
    assert [(v["role"], v["version"], v["traffic"]) for v in body["versions"]] == [
        ("champion", "v1", 0.75),
        ("challenger", "v2", 0.25),
    ]
    assert body["metrics"] == {}
