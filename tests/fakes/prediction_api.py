"""A small real service that answers as the API does and counts what reaches it.

Run it as ``python prediction_api.py LATENCY FAIL_EVERY [ADDRESS]`` (see :func:`create_app`); it
prints the port that it chose.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import time
import uuid
from collections import Counter
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse


def create_app(latency: float, fail_every: int) -> FastAPI:
    """The service.

    Args:
        latency: seconds that a prediction takes.
        fail_every: every so many-th prediction is answered with 500; 0: none.
    """
    app = FastAPI()
    seen: Counter[str] = Counter()
    request_ids: list[str | None] = []
    labels: dict[str, int | str] = {}
    given: set[str] = set()
    keys: Counter[str] = Counter()
    numbers = itertools.count(1)

    @app.post("/predict", response_model=None)
    async def predict(
        row: dict[str, Any],
        x_request_id: Annotated[str | None, Header()] = None,
        x_api_key: Annotated[str, Header()] = "",
    ) -> dict[str, Any] | JSONResponse:
        keys[f"/predict {x_api_key}"] += 1
        seen["active"] += 1
        seen["max_active"] = max(seen["max_active"], seen["active"])
        request_ids.append(x_request_id)
        await asyncio.sleep(latency)
        seen["active"] -= 1
        if fail_every and next(numbers) % fail_every == 0:
            return JSONResponse({"detail": "injected"}, 500)
        prediction_id = str(uuid.uuid4())
        given.add(prediction_id)
        prediction = int(float(row["Glucose"]) > 140)
        return {"prediction_id": prediction_id, "prediction": prediction, "probability": 0.75}

    @app.post("/labels")
    async def add_labels(
        body: dict[str, list[dict[str, Any]]], x_api_key: Annotated[str, Header()] = ""
    ) -> dict[str, int]:
        keys[f"/labels {x_api_key}"] += 1
        for item in body["labels"]:
            if item["prediction_id"] in given:
                labels[item["prediction_id"]] = item["label"]
        return {"count": len(body["labels"])}

    @app.post("/stall")
    async def stall(seconds: float) -> dict[str, float]:
        begin = time.time()
        time.sleep(seconds)  # noqa: ASYNC251 - nothing is to be served meanwhile
        return {"begin": begin, "end": time.time()}

    @app.get("/seen")
    async def report() -> dict[str, Any]:
        maximum = seen["max_active"]
        return {"request_ids": request_ids, "labels": labels, "max_active": maximum, "keys": keys}

    return app


def main(latency: float, fail_every: int, address: str = "127.0.0.1") -> None:
    """Serve on a free port of an address and print it."""
    with socket.socket() as listening:
        listening.bind((address, 0))
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(create_app(latency, fail_every), log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
