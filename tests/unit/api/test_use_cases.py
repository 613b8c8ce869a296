"""What the API says and takes for the use cases that have more than numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from testbed_domain.artefact import FEATURES, Artefact
from testbed_domain.encoding import fitted
from testbed_domain.features import Row
from testbed_domain.featuretable import write_table
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio

CUSTOMER: Row = {f.name: f.example for f in get_use_case("churn").schema.features}
PASSENGER: Row = {f.name: f.example for f in get_use_case("titanic").schema.features}


def _served(artefact: Artefact, name: str, rows: list[Row]) -> Artefact:
    schema = fitted(get_use_case(name).schema, rows)
    return replace(artefact, use_case=name, schema=schema)


@pytest.fixture
def artefact(request: pytest.FixtureRequest, artefact: Artefact) -> Artefact:
    """The fake model, with the schema of the use case that the test asks for."""
    if request.param == "titanic":
        return _served(artefact, "titanic", [PASSENGER])
    write_table(artefact.path / FEATURES, [("7590-VHVEG", CUSTOMER)])
    return replace(_served(artefact, "churn", [CUSTOMER]), files={FEATURES: "unchecked"})


@pytest.fixture
async def api(make_api: ApiMaker) -> AsyncIterator[Api]:
    """A loaded API."""
    async with make_api() as made:
        yield made


titanic = pytest.mark.parametrize("artefact", ["titanic"], indirect=True)
churn = pytest.mark.parametrize("artefact", ["churn"], indirect=True)
both = pytest.mark.parametrize("artefact", ["titanic", "churn"], indirect=True)


@titanic
async def test_titanic_replies_with_class_confidence_and_version(api: Api) -> None:
    """The documented passenger, categories and missing values included."""
    reply = (await api.public.post("/predict", json=PASSENGER)).json()
    assert (reply["class"], reply["confidence"]) == ("died", 0.875)
    assert (reply["prediction"], reply["model_version"]) == ("died", "v1")
    gone = {name: None if name in {"Age", "Embarked"} else v for name, v in PASSENGER.items()}
    assert (await api.public.post("/predict", json=gone)).status_code == 200
    assert api.runtime.batches[-1].shape == (1, 12)
    assert api.log.rows[-1].features == gone


@titanic
async def test_an_unknown_category_is_refused_with_the_allowed_ones(api: Api) -> None:
    """The answer names the field and what it may hold."""
    answer = await api.public.post("/predict", json={**PASSENGER, "Embarked": "X"})
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"][:2] == ["body", "Embarked"]
    assert all(repr(port) in problem["msg"] for port in "CQS")


@churn
async def test_an_id_is_as_good_as_the_features(api: Api) -> None:
    """Both ways the same answer, and the same features in the log."""
    by_id = await api.public.post("/predict", json={"user_id": "7590-VHVEG"})
    by_features = await api.public.post("/predict", json=CUSTOMER)
    assert by_id.status_code == by_features.status_code == 200
    assert by_id.json()["churn"] == by_features.json()["churn"] == "No"
    assert by_id.json()["churn_probability"] == pytest.approx(0.125)
    assert [row.features for row in api.log.rows] == [CUSTOMER, CUSTOMER]
    assert (api.runtime.batches[0] == api.runtime.batches[1]).all()


@churn
async def test_an_unknown_id_is_not_found(api: Api) -> None:
    """404 with what to do, no echo of the id, and counted as a refused prediction."""
    answer = await api.public.post("/predict", json={"user_id": "0000-NOONE"})
    assert answer.status_code == 404
    assert "user_id is not in the feature table of 1 known ids" in answer.json()["detail"]
    assert "NOONE" not in answer.text
    assert api.errors("validation") == 1
    assert not api.log.rows


@churn
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"user_id": "7590-VHVEG", "tenure": 3}, "give user_id alone"),
        ({"user_id": 7}, "user_id is a text"),
        ({"user_id": None}, "user_id is a text"),
        ({"user_id": ["a"]}, "user_id is a text"),
        ({"user_id": "x" * 201}, "user_id is a text"),
        ({"user_id": ""}, "user_id is a text"),
        ({}, "Field required"),
    ],
)
async def test_bad_ids_are_refused(api: Api, body: dict[str, Any], message: str) -> None:
    """422 with a reason, whatever stands in the place of the id."""
    answer = await api.public.post("/predict", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["detail"][0]["msg"]


@both
async def test_the_api_page_shows_the_real_schema_with_examples(api: Api) -> None:
    """Its examples are valid against its schemas, and the service takes them."""
    page = (await api.public.get("/openapi.json")).json()
    operation = page["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    examples = content.get("examples", {"": {"value": content.get("example")}})
    for example in examples.values():
        jsonschema.validate(example["value"], content["schema"])
        answer = await api.public.post("/predict", json=example["value"])
        assert answer.status_code == 200
        name = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        reply = page["components"]["schemas"][name.rpartition("/")[2]]
        assert set(reply["properties"]) == set(answer.json())
        jsonschema.validate(answer.json(), reply)
        jsonschema.validate(reply["example"], reply)
        assert set(reply["example"]) == set(answer.json())
    assert ("404" in operation["responses"]) == (len(examples) == 2)


@churn
async def test_the_page_names_the_allowed_values(api: Api) -> None:
    """Categories are an enumeration, bounds are bounds."""
    page = (await api.public.get("/openapi.json")).json()
    content = page["paths"]["/predict"]["post"]["requestBody"]["content"]
    by_key, by_features = content["application/json"]["schema"]["anyOf"]
    assert by_key["required"] == ["user_id"]
    contract = by_features["properties"]["Contract"]
    assert contract["enum"] == ["Month-to-month", "One year", "Two year"]
    number, truth = by_features["properties"]["SeniorCitizen"]["anyOf"]
    assert (number["minimum"], number["maximum"], truth["type"]) == (0, 1, "boolean")
