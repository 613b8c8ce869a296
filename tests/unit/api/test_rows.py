"""POST /predict/batch and /predict/stream: many rows, each with its own row in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio

NDJSON = {"Content-Type": "application/x-ndjson"}


def _counted(api: Api) -> list[float]:
    return [
        api.value("ml_predictions_total", model_version="v1", prediction_class=label)
        for label in ("0", "1")
    ]


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


async def test_records_and_columns_are_the_same_rows(api: Api) -> None:
    """Each row is answered in its place, logged once and counted once, in either form."""
    rows = [api.row | {"Pregnancies": n} for n in (1, 6, 2, 7)]
    for body in ({"records": rows}, {"columns": _columns(rows)}):
        before = len(api.log.rows)
        reply = await api.public.post("/predict/batch", json=body, headers={"X-Request-ID": "r"})
        assert reply.status_code == 200
        answers = reply.json()["predictions"]
        assert [answer["prediction"] for answer in answers] == [0, 1, 0, 1]
        logged = api.log.rows[before:]
        assert [row.id for row in logged] == [answer["prediction_id"] for answer in answers]
        assert [row.features for row in logged] == rows
        assert {row.request_id for row in logged} == {"r"}
    assert _counted(api) == [4, 4]
    assert api.requests("/predict/batch", 200) == 2


async def test_batch_is_cut_to_what_the_model_takes(make_api: ApiMaker) -> None:
    """Ten rows go through a batcher of four without an error."""
    async with make_api(batching="always", batch_rows=4) as api:
        calls = len(api.runtime.batches)
        reply = await api.public.post("/predict/batch", json={"records": [api.row] * 10})
        assert len(reply.json()["predictions"]) == len(api.log.rows) == 10
        assert [len(batch) for batch in api.runtime.batches[calls:]] == [4, 4, 2]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"records": []}, ["body", "records"]),
        ({"records": [{}] * 4}, ["body", "records"]),
        ({"rows": []}, ["body", "records"]),
        ({"columns": {}}, ["body"]),
        ({"columns": {"schema": 1}}, ["body"]),
        ({"columns": {"schema": [1], "Fare": [1, 2]}}, ["body"]),
        ({"columns": []}, ["body"]),
        ([], ["body"]),
    ],
)
async def test_batch_that_is_none_is_refused(
    make_api: ApiMaker, body: object, place: list[str]
) -> None:
    """Empty, too long, ragged: 422 that names the place."""
    async with make_api(batch_limit=3) as api:
        reply = await api.public.post("/predict/batch", json=body)
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"] == place
        assert not api.log.rows


async def test_one_wrong_row_refuses_the_batch_and_is_named(api: Api) -> None:
    """All or nothing, and the row's number is in the answer."""
    rows = [api.row, api.row | {"Pregnancies": -1}]
    for body in ({"records": rows}, {"columns": _columns(rows)}):
        reply = await api.public.post("/predict/batch", json=body)
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"] == ["body", "records", 1, "Pregnancies"]
    assert not api.log.rows
    assert api.errors("validation") == 2


async def test_batch_that_the_log_fails_is_no_answer(api: Api) -> None:
    """What isn't durable is neither answered nor counted."""
    api.log.write_error = OSError("full")
    reply = await api.public.post("/predict/batch", json={"records": [api.row] * 3})
    assert reply.status_code == 503
    assert _counted(api) == [0, 0]
    assert api.errors("log") == 1


async def test_batch_may_be_larger_than_a_single_request(make_api: ApiMaker) -> None:
    """It has a limit of its own, in bytes too."""
    async with make_api(body_limit=1024, batch_body_limit=8192) as api:
        body = {"records": [api.row] * 30}
        assert 1024 < len(json.dumps(body)) < 8192
        assert (await api.public.post("/predict/batch", json=body)).status_code == 200
        reply = await api.public.post("/predict/batch", json={"records": [api.row] * 300})
        assert reply.status_code == 413


def _lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def test_stream_answers_each_line_in_its_order(make_api: ApiMaker) -> None:
    """More lines than are predicted together, larger than a single request may be."""
    async with make_api(body_limit=1024) as api:
        rows = [api.row | {"Pregnancies": n % 8} for n in range(600)]
        reply = await api.public.post("/predict/stream", content=_lines(*rows), headers=NDJSON)
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("application/x-ndjson")
        answers = [json.loads(line) for line in reply.text.splitlines()]
        assert [answer["line"] for answer in answers] == list(range(1, 601))
        assert [answer["prediction"] for answer in answers] == [
            int(row["Pregnancies"] >= 6) for row in rows
        ]
        assert [row.id for row in api.log.rows] == [answer["prediction_id"] for answer in answers]
        assert sum(_counted(api)) == 600


async def test_wrong_lines_are_answered_as_such_and_spoil_no_other(make_api: ApiMaker) -> None:
    """A line that is wrong, no JSON or too long has a status; empty ones are passed over."""
    async with make_api(body_limit=1024) as api:
        content = (
            _lines(api.row)
            + b"\n{\n"
            + _lines(api.row | {"Pregnancies": -1})
            + b'"'
            + b"x" * 5000
            + b'"\n'
            + json.dumps(api.row).encode()
        )
        reply = await api.public.post("/predict/stream", content=content, headers=NDJSON)
        answers = [json.loads(line) for line in reply.text.splitlines()]
        assert [(a["line"], a.get("status", 200)) for a in answers] == [
            (1, 200),
            (3, 422),
            (4, 422),
            (5, 413),
            (6, 200),
        ]
        assert answers[2]["detail"][0]["loc"] == ["body", "Pregnancies"]
        assert len(api.log.rows) == 2
        assert api.errors("validation") == 3


@pytest.mark.parametrize("batching", ["always", "never"])
async def test_stream_of_nothing_but_wrong_lines_asks_no_model(
    make_api: ApiMaker, batching: str
) -> None:
    """No row is no batch."""
    async with make_api(batching=batching) as api:
        calls = len(api.runtime.batches)
        reply = await api.public.post("/predict/stream", content=b"{\n{\n", headers=NDJSON)
        assert [json.loads(line)["status"] for line in reply.text.splitlines()] == [422, 422]
        assert len(api.runtime.batches) == calls


async def test_lines_that_the_log_fails_say_so(api: Api) -> None:
    """The status of the stream is sent already, so each line carries its own."""
    api.log.write_error = OSError("full")
    reply = await api.public.post(
        "/predict/stream", content=_lines(api.row, api.row), headers=NDJSON
    )
    assert [json.loads(line)["status"] for line in reply.text.splitlines()] == [503, 503]
    assert _counted(api) == [0, 0]


async def test_stream_takes_no_other_type(api: Api) -> None:
    """415 says what to send; an empty stream has an empty answer."""
    assert (await api.public.post("/predict/stream", json=api.row)).status_code == 415
    reply = await api.public.post("/predict/stream", content=b"", headers=NDJSON)
    assert (reply.status_code, reply.content) == (200, b"")


async def test_stream_over_the_limit_is_refused(make_api: ApiMaker) -> None:
    """Large is not without end."""
    async with make_api(stream_body_limit=1024) as api:
        reply = await api.public.post(
            "/predict/stream", content=_lines(*[api.row] * 50), headers=NDJSON
        )
        assert reply.status_code == 413
        assert not api.log.rows


async def test_routes_for_many_rows_are_measured_by_name(api: Api) -> None:
    """Though they are served on the framework's usual path."""
    line = json.dumps(api.row)
    assert (await api.public.post("/predict/batch", json={"records": [api.row]})).is_success
    reply = await api.public.post(
        "/predict/stream", content=line, headers={"Content-Type": "application/x-ndjson"}
    )
    assert reply.is_success
    assert (await api.public.get("/model")).is_success
    assert api.requests("/predict/batch", 200) == 1
    assert api.requests("/predict/stream", 200) == 1
    assert api.requests("/model", 200, "GET") == 1


async def test_large_bodies_are_bounded_together(make_api: ApiMaker) -> None:
    """What does not fit beside the others is refused; what was held is free afterwards."""
    async with make_api(held_bodies_limit=2048) as api:
        for _ in range(3):
            reply = await api.public.post("/predict/batch", json={"records": [api.row] * 10})
            assert reply.status_code == 200
            large = await api.public.post("/predict/batch", json={"records": [api.row] * 100})
            assert (large.status_code, large.headers["Retry-After"]) == (503, "5")
            content = _lines(*[api.row] * 100)
            large = await api.public.post("/predict/stream", content=content, headers=NDJSON)
            assert large.status_code == 503
            content = _lines(*[api.row] * 10)
            reply = await api.public.post("/predict/stream", content=content, headers=NDJSON)
            assert reply.status_code == 200
        assert api.errors("shed") == 6
