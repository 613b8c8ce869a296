"""Input that is wrong: always 4xx, always naming the field, never echoing what was sent."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
GOOD = '{"Pregnancies": 6, "BMI (kg/m²)": 33.6, "schema": 1.5}'


def _with(field: str, raw: str) -> bytes:
    values = {"Pregnancies": "6", "BMI (kg/m²)": "33.6", "schema": "1.5", field: raw}
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in values.items()) + "}").encode()


WRONG_VALUES = [
    (_with("schema", "NaN"), "schema"),
    (_with("schema", "Infinity"), "schema"),
    (_with("schema", "-Infinity"), "schema"),
    (_with("schema", "1e999"), "schema"),
    (_with("schema", "-1e999"), "schema"),
    (_with("schema", "1e39"), "schema"),
    (_with("schema", "9" * 400), "schema"),
    (_with("schema", "true"), "schema"),
    (_with("schema", '"1.5"'), "schema"),
    (_with("schema", "null"), "schema"),
    (_with("schema", "[]"), "schema"),
    (_with("schema", "{}"), "schema"),
    (_with("schema", '"\\u0000"'), "schema"),
    (_with("Pregnancies", "6.5"), "Pregnancies"),
    (_with("Pregnancies", "6.0000001"), "Pregnancies"),
    (_with("Pregnancies", '"6"'), "Pregnancies"),
    (_with("Pregnancies", "true"), "Pregnancies"),
    (_with("Pregnancies", "-1"), "Pregnancies"),
    (_with("Pregnancies", "51"), "Pregnancies"),
    (_with("Pregnancies", "9" * 400), "Pregnancies"),
    (_with("Pregnancies", "NaN"), "Pregnancies"),
    (_with("BMI (kg/m²)", "200.01"), "BMI (kg/m²)"),
    (_with("Fare", '"x"'), "Fare"),
    (_with("marker", "1"), "marker"),
    (_with("__proto__", "1"), "__proto__"),
    (_with("", "1"), ""),
    (b'{"Pregnancies": 6, "BMI (kg/m\xc2\xb2)": 33.6}', "schema"),
]
NO_OBJECTS = [
    b"",
    b"marker",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"marker"',
    GOOD.encode()[:-1],
    GOOD.encode() + b"x",
    GOOD.encode("utf-16"),
    GOOD.encode("latin-1"),
    b'{"schema": "\xff\xfe"}',
    b'{"schema": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"schema": "\\x"}',
    b"[" * 30_000,
    b'{"schema":' * 5_000,
    b"\xef\xbb\xbf{}",
    b"\x00",
    _with("schema", "9" * 5_000),
]


async def test_wrong_value_is_refused_naming_its_field(api: Api) -> None:
    """One wrong field makes one entry, which names it; one API is sent all of them."""
    for body, field in WRONG_VALUES:
        reply = await api.public.post("/predict", content=body, headers=JSON)
        assert reply.status_code == 422, body
        assert [item["loc"] for item in reply.json()["detail"]] == [["body", field]], body
        assert set(reply.json()["detail"][0]) == {"loc", "msg", "type"}, body
    assert not api.log.rows


async def test_body_that_is_no_json_object_is_refused_naming_the_body(api: Api) -> None:
    """What can't be read at all is reported as the body; one API is sent all of them."""
    for count, body in enumerate(NO_OBJECTS, 1):
        reply = await api.public.post("/predict", content=body, headers=JSON)
        assert reply.status_code == 422, body
        assert [item["loc"] for item in reply.json()["detail"]] == [["body"]], body
        assert "marker" not in reply.text, body
        assert api.errors("validation") == count, body


async def test_every_wrong_field_is_named_at_once(api: Api) -> None:
    """Nobody has to repair a request field by field."""
    reply = await api.public.post("/predict", json={"Pregnancies": -1, "marker": 1})
    named = [item["loc"][1] for item in reply.json()["detail"]]
    assert named == ["Pregnancies", "BMI (kg/m²)", "schema", "marker"]


async def test_reply_to_many_unknown_columns_stays_small(api: Api) -> None:
    """A reply does not grow with the request: some problems are named, names are cut."""
    body = {f"{number}{'x' * 500}": 1 for number in range(100)}
    reply = await api.public.post("/predict", json=body)
    assert reply.status_code == 422
    assert len(reply.json()["detail"]) == 50
    assert len(reply.text) < 20_000


@pytest.mark.parametrize("value", ['"marker-1234"', "[1234567]", '{"a": "marker-1234"}'])
async def test_input_is_never_echoed(api: Api, value: str) -> None:
    """What was sent may be private or hostile; it does not come back."""
    reply = await api.public.post("/predict", content=_with("schema", value), headers=JSON)
    assert reply.status_code == 422
    assert "1234" not in reply.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "xx"])
async def test_other_content_types_are_refused(api: Api, content_type: str) -> None:
    """415 says what to send instead."""
    reply = await api.public.post("/predict", content=GOOD, headers={"Content-Type": content_type})
    assert reply.status_code == 415
    assert "application/json" in reply.json()["detail"]
    assert api.requests("/predict", 415) == 1


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/x+json"])
async def test_json_in_other_words_is_taken(api: Api, content_type: str) -> None:
    """Parameters and suffixed types are JSON too."""
    reply = await api.public.post("/predict", content=GOOD, headers={"Content-Type": content_type})
    assert reply.status_code == 200


async def test_body_over_the_limit_is_refused_by_its_length(make_api: ApiMaker) -> None:
    """A declared length over the limit gives 413, in the metrics as well."""
    async with make_api(body_limit=1024) as api:
        reply = await api.public.post("/predict", content=b" " * 1025, headers=JSON)
        assert reply.status_code == 413
        assert api.requests("/predict", 413) == 1
        assert api.errors("validation") == 1


async def test_body_over_the_limit_is_refused_without_a_length(make_api: ApiMaker) -> None:
    """A chunked body is cut off where it passes the limit."""
    taken = 0

    async def chunks() -> Any:  # noqa: ANN401 - an async generator, as httpx wants it
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b" " * 512

    async with make_api(body_limit=1024) as api:
        reply = await api.public.post("/predict", content=chunks(), headers=JSON)
        assert reply.status_code == 413
        assert api.requests("/predict", 413) == 1
        assert taken < 100


async def test_body_at_the_limit_is_taken(make_api: ApiMaker) -> None:
    """The limit itself is allowed."""
    async with make_api(body_limit=1024) as api:
        body = GOOD.encode()
        body += b" " * (1024 - len(body))
        assert (await api.public.post("/predict", content=body, headers=JSON)).status_code == 200


async def test_unknown_paths_and_methods_make_no_new_series(api: Api) -> None:
    """404 and 405 are JSON, and a scanner can't blow the metrics up."""
    for number in range(20):
        reply = await api.public.get(f"/nothing/{number}")
        assert (reply.status_code, reply.json()) == (404, {"detail": "Not Found"})
    reply = await api.public.request("BREW", "/predict")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    await api.public.request("BREW2", "/predict")
    name = "http_server_request_duration_seconds_count"
    series = [
        sample.labels
        for family in api.telemetry.registry.collect()
        for sample in family.samples
        if sample.name == name
    ]
    assert len(series) == 2
    assert "/nothing" not in json.dumps(series)


@pytest.mark.parametrize("path", ["/predict", "/labels", "/predict/batch", "/predict/stream"])
async def test_compressed_bodies_are_refused(api: Api, path: str) -> None:
    """415, not a complaint about JSON: a small body may hold a large one."""
    media = "application/x-ndjson" if path.endswith("stream") else "application/json"
    headers = {"Content-Type": media, "Content-Encoding": "gzip"}
    content = gzip.compress(GOOD.encode())
    reply = await api.public.post(path, content=content, headers=headers)
    assert reply.status_code == 415
    assert "uncompressed" in reply.json()["detail"]
    headers["Content-Encoding"] = "identity"
    reply = await api.public.post("/predict", content=GOOD, headers=JSON | headers)
    assert reply.status_code in {200, 415}


@pytest.mark.parametrize(
    "path", ["/", "/model", "/health/live", "/metrics", "/openapi.json", "/docs"]
)
async def test_head_is_get_without_a_body(api: Api, path: str) -> None:
    """The same status, type and length; what takes no GET takes no HEAD."""
    got, head = await api.public.get(path), await api.public.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert (await api.public.head("/predict")).status_code == 405
    assert (await api.public.head("/nothing")).status_code == 404


async def test_refused_method_names_all_of_the_path(api: Api) -> None:
    """Not only those of the first route that has it."""
    reply = await api.management.request("POST", "/faults")
    assert (reply.status_code, reply.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")


async def test_problems_are_collected_up_to_what_is_shown(api: Api) -> None:
    """Many wrong labels or rows are answered with as many problems as one answer has."""
    for path, field in (("/labels", "labels"), ("/predict/batch", "records")):
        reply = await api.public.post(path, json={field: [{}] * 500})
        assert reply.status_code == 422
        found = reply.json()["detail"]
        assert len(found) == 50
        assert found[-1]["loc"][:3] in (["body", field, 16], ["body", field, 24])
