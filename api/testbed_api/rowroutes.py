"""Many rows at a time: one JSON body up to a limit, or newline-delimited JSON without one."""

from __future__ import annotations

import json
import tempfile
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, TypeAdapter, ValidationError, conlist
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, StreamingResponse
from typing_extensions import TypedDict

from testbed_api.answers import ApiError, echo, request_id
from testbed_api.bodies import problems, read_json
from testbed_api.calls import call_of
from testbed_api.lookup import row_lookup
from testbed_api.schemas import PredictionReply, row_adapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from testbed_domain.features import FeatureSchema, Row

    from testbed_api.service import Service
    from testbed_api.serving import Call
    from testbed_api.settings import ApiSettings

NDJSON: Final = "application/x-ndjson"
# Rows of a stream that are predicted, logged and answered together.
STREAM_ROWS: Final = 256
# Bytes of a stream's body that stay in memory; the rest goes to a temporary file.
SPOOL_BYTES: Final = 1 << 20


class Batch(TypedDict):
    """A body of several rows, as records."""

    records: list[Row]


class BatchReply(TypedDict):
    """Answer of ``POST /predict/batch``: one prediction per row, in the order of the request."""

    predictions: list[PredictionReply]


def batch_adapter(
    schema: FeatureSchema, limit: int, look_up: Callable[[str], Row] | None = None
) -> TypeAdapter[Batch]:
    """Validator of ``POST /predict/batch``: up to ``limit`` rows as records or as columns.

    With ``look_up``, a row may be an id whose features it finds.
    """
    row: Any = Annotated[dict, _Row(schema, look_up)]
    make: Any = TypedDict  # its field's type is known at run time only
    batch = make("Records", {"records": conlist(row, min_length=1, max_length=limit)})
    batch.__pydantic_config__ = {"extra": "forbid"}
    whole: Any = Annotated[batch, BeforeValidator(_as_records)]
    return TypeAdapter(whole)


class _Row:
    """Takes the place of ``dict`` with the validator of one row."""

    def __init__(self, schema: FeatureSchema, look_up: Callable[[str], Row] | None) -> None:
        self._core = row_adapter(schema, look_up).core_schema

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> Any:  # noqa: ANN401 - pydantic's own
        return self._core


def _as_records(body: object) -> object:
    """Columns of equal length as records; anything else as it is."""
    if not isinstance(body, dict) or set(body) != {"columns"}:
        return body
    columns = body["columns"]
    if not isinstance(columns, dict) or not columns:
        raise ValueError("columns is an object of lists")
    values = list(columns.values())
    if not all(isinstance(value, list) for value in values):
        raise ValueError("columns is an object of lists")
    if len({len(value) for value in values}) != 1:
        raise ValueError("the columns have different lengths")
    return {"records": [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]}


def rows_router(settings: ApiSettings, service: Service, responses: dict[Any, Any]) -> APIRouter:
    """``POST /predict/batch`` and ``POST /predict/stream``.

    Args:
        settings: limits.
        service: predicts.
        responses: OpenAPI's description of errors.
    """
    router = APIRouter(tags=["predictions"])
    schema, look_up = service.champion.schema, row_lookup(service.champion)
    batches = batch_adapter(schema, settings.batch_limit, look_up)
    rows = row_adapter(schema, look_up)

    @router.post(
        "/predict/batch",
        response_model=BatchReply,
        responses=responses,
        openapi_extra=_batch_body(schema, settings.batch_limit),
        max_body_size=settings.batch_body_limit,
    )
    async def batch(request: Request) -> Response:
        """Predict several rows, each a prediction of its own. All are answered, or none.

        Where the log fails halfway, the rows that are in it stay there, and are counted.
        """
        with service.counting_errors():
            body = await read_json(request, batches)
            replies = await service.predict_many(
                body["records"], request_id(request), call_of(request)
            )
            return JSONResponse({"predictions": replies}, headers=echo(request))

    @router.post(
        "/predict/stream",
        response_class=StreamingResponse,
        responses={**responses, 200: {"content": {NDJSON: {}}}},
        openapi_extra=_stream_body(schema),
        max_body_size=settings.stream_body_limit,
    )
    async def stream(request: Request) -> Response:
        """Predict one row per line; each line is answered by one, in their order.

        A line that can't be predicted is answered with ``line``, ``status`` and ``detail``.
        """
        with service.counting_errors():
            _check_type(request)
            call = call_of(request)
            lines = _Lines(await _spool(request), settings.body_limit)
        answers = _answers(service, rows, lines, request_id(request), call)
        return StreamingResponse(answers, media_type=NDJSON, headers=echo(request))

    return router


def _check_type(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {NDJSON, "application/jsonl", "application/jsonlines"}:
        raise ApiError(415, "validation", f"send one JSON object a line, as {NDJSON}")


async def _spool(request: Request) -> IO[bytes]:
    """The whole body, in a file that is gone when it is closed.

    Most clients send all before they read anything. Answers written meanwhile would fill the
    connection's buffers, and then neither side could go on.
    """
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the answer closes it
    try:
        async for chunk in request.stream():
            spool.write(chunk)
    except ClientDisconnect:
        spool.close()
        raise ApiError(400, "other", "the client left before its request was complete") from None
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool


class _Lines:
    """The lines of a spooled body; those that are too long are None."""

    def __init__(self, spool: IO[bytes], limit: int) -> None:
        self._spool = spool
        self._limit = limit
        self._number = 0

    def next(self, count: int) -> list[tuple[int, bytes | None]]:
        """Up to ``count`` lines that aren't empty, with their numbers from 1."""
        found: list[tuple[int, bytes | None]] = []
        while len(found) < count:
            line = self._spool.readline(self._limit)
            if not line:
                break
            self._number += 1
            whole = line
            while len(whole) == self._limit and not whole.endswith(b"\n"):
                line, whole = b"", self._spool.readline(self._limit)
            if not line:
                found.append((self._number, None))
            elif line.strip():
                found.append((self._number, line))
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._spool.close()


async def _answers(
    service: Service,
    rows: TypeAdapter[Row],
    lines: _Lines,
    identifier: str | None,
    call: Call,
) -> AsyncIterator[bytes]:
    """The answers to the lines, some hundred at a time."""
    try:
        while chunk := lines.next(STREAM_ROWS):
            answers: dict[int, dict[str, Any]] = {}
            good: dict[int, Row] = {}
            for number, line in chunk:
                try:
                    with service.counting_errors():
                        good[number] = _parse(rows, line)
                except ApiError as error:
                    answers[number] = {"status": error.status, "detail": error.detail}
            try:
                with service.counting_errors():
                    replies = await service.predict_many(list(good.values()), identifier, call)
                answers |= dict(zip(good, replies, strict=True))
            except ApiError as error:
                problem = {"status": error.status, "detail": error.detail}
                answers |= dict.fromkeys(good, problem)
            yield b"".join(_line({"line": number, **answers[number]}) for number, _ in chunk)
    finally:
        lines.close()


def _parse(rows: TypeAdapter[Row], line: bytes | None) -> Row:
    if line is None:
        raise ApiError(413, "validation", "the line is too long")
    try:
        return rows.validate_json(line)
    except ValidationError as error:
        raise ApiError(422, "validation", problems(error)) from None


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"


def _batch_body(schema: FeatureSchema, limit: int) -> dict[str, Any]:
    example = {feature.name: feature.example for feature in schema.features}
    row = row_adapter(schema).json_schema()
    properties = row.get("properties", {})
    columns = {
        name: {"type": "array", "items": item, "minItems": 1, "maxItems": limit}
        for name, item in properties.items()
    }
    forms = [
        {
            "type": "object",
            "properties": {
                "records": {"type": "array", "items": row, "minItems": 1, "maxItems": limit}
            },
            "required": ["records"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "columns": {
                    "type": "object",
                    "properties": columns,
                    "required": row.get("required", []),
                    "additionalProperties": False,
                    "description": "Lists of equal length.",
                }
            },
            "required": ["columns"],
            "additionalProperties": False,
        },
    ]
    content = {"schema": {"anyOf": forms}, "example": {"records": [example]}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _stream_body(schema: FeatureSchema) -> dict[str, Any]:
    example = json.dumps({feature.name: feature.example for feature in schema.features})
    content = {"schema": {"type": "string"}, "example": f"{example}\n{example}\n"}
    return {"requestBody": {"required": True, "content": {NDJSON: content}}}
