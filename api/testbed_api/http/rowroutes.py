"""Many rows at a time: one JSON body up to a limit, or newline-delimited JSON."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import StreamingResponse
from typing_extensions import TypedDict

from testbed_api.errors import ApiError
from testbed_api.http.answers import OrjsonResponse, echo, request_id
from testbed_api.http.bodies import body_size, check_encoding, read_body
from testbed_api.http.guard import allowance
from testbed_api.http.lookup import row_lookup
from testbed_api.http.requestoptions import request_options
from testbed_api.http.schemas import NumberReply, PredictionReply, row_adapter, row_reader
from testbed_api.http.streams import BodyBudget, BodyFile, RowStream

if TYPE_CHECKING:
    from testbed_domain.features import FeatureSchema

    from testbed_api.http.guard import Guard
    from testbed_api.serving.service import Service
    from testbed_api.settings import ApiSettings

NDJSON: Final = "application/x-ndjson"


class BatchReply(TypedDict):
    """Answer of ``POST /predict/batch``: one prediction per row, in the order of the request."""

    predictions: list[PredictionReply]


class NumberBatchReply(TypedDict):
    """Answer of ``POST /predict/batch`` where numbers are predicted: one per row, in order."""

    predictions: list[NumberReply]


def rows_router(
    settings: ApiSettings,
    service: Service,
    responses: dict[Any, Any],
    guard: Guard | None = None,
) -> APIRouter:
    """``POST /predict/batch`` and ``POST /predict/stream``.

    Args:
        settings: limits.
        service: predicts.
        responses: OpenAPI's description of errors.
        guard: lets a request pass and limits its rows; None lets all of them pass.
    """
    router = APIRouter(tags=["predictions"])
    guarded = [] if guard is None else [Depends(guard.rows)]
    schema, look_up = service.champion.schema, row_lookup(service.champion)
    rows = row_reader(schema, look_up, settings.body_limit)
    turns, budget = service.turns, BodyBudget(settings.held_bodies_limit)

    @router.post(
        "/predict/batch",
        dependencies=guarded,
        response_model=NumberBatchReply if schema.regression else BatchReply,
        responses=responses,
        openapi_extra=_batch_body(schema, settings.batch_limit),
        max_body_size=settings.batch_body_limit,
    )
    async def batch(request: Request) -> Response:
        """Predict several rows, each a prediction of its own. All are answered, or none."""
        allowed = allowance(request)
        with (
            service.counting_errors(),
            allowed,
            budget.holding(body_size(request, settings.batch_body_limit)),
        ):
            body = await read_body(request)
            found = await turns.run(rows.batch(body, settings.batch_limit))
            allowed.take_rows(len(found))
            replies = await service.predict_many(
                found, request_id(request), request_options(request)
            )
            return OrjsonResponse({"predictions": replies}, headers=echo(request))

    @router.post(
        "/predict/stream",
        dependencies=guarded,
        response_class=StreamingResponse,
        responses={**responses, 200: {"content": {NDJSON: {}}}},
        openapi_extra=_stream_body(schema),
        max_body_size=settings.stream_body_limit,
    )
    async def stream(request: Request) -> Response:
        """Predict one row per line; each line is answered by one, in their order.

        A line that can't be predicted is answered with ``line``, ``status`` and ``detail``.
        """
        allowed = allowance(request)
        with service.counting_errors(), contextlib.ExitStack() as stack:
            stack.enter_context(allowed)
            _check_type(request)
            options = request_options(request)
            spool = stack.enter_context(contextlib.closing(BodyFile(budget)))
            await spool.fill(request)
            stack.pop_all()  # the answers close both
        answers = RowStream(service, rows, turns, allowed, settings.body_limit)
        return StreamingResponse(
            answers.answers(spool, request_id(request), options),
            media_type=NDJSON,
            headers=echo(request),
        )

    return router


def _check_type(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {NDJSON, "application/jsonl", "application/jsonlines"}:
        raise ApiError(415, "validation", f"send one JSON object a line, as {NDJSON}")
    check_encoding(request)


def _batch_body(schema: FeatureSchema, limit: int) -> dict[str, Any]:
    example = {feature.name: feature.example for feature in schema.features}
    row = row_adapter(schema).json_schema()
    body = {
        "type": "object",
        # That lists are of equal length is beyond JSON Schema.
        "description": 'Or the same rows as `{"columns": {NAME: [VALUE, ...]}}`, with a list of '
        "equal length for each column.",
        "properties": {
            "records": {"type": "array", "items": row, "minItems": 1, "maxItems": limit}
        },
        "required": ["records"],
        "additionalProperties": False,
    }
    content = {"schema": body, "example": {"records": [example]}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _stream_body(schema: FeatureSchema) -> dict[str, Any]:
    example = json.dumps({feature.name: feature.example for feature in schema.features})
    # Whatever it holds, it is taken: a line that is no row is answered as such.
    body = {"description": "One row per line, as in the body of POST /predict."}
    content = {"schema": body, "example": f"{example}\n{example}\n"}
    return {"requestBody": {"required": True, "content": {NDJSON: content}}}
