"""Model versions over HTTP: what callers may know, and what operators may change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError

from testbed_api.errors import ApiError
from testbed_api.http.bodies import described, read_json
from testbed_api.http.management import inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

    from testbed_api.serving.runtime import ModelRuntime
    from testbed_api.serving.service import Service

# Says nothing of whether there is anything at the path.
OUTSIDE: Final = (
    "The artefact lies in none of the folders of TESTBED_API_ARTEFACT_FOLDERS: copy it there."
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Traffic(_Model):
    """How much the challenger gets."""

    split: Annotated[float, Field(ge=0, le=1)] = 0.0
    shadow: bool = False


class Challenger(Traffic):
    """A version to load, and how much it gets."""

    artefact: Annotated[str, Field(min_length=1, max_length=4096)]


def model_router(service: Service) -> APIRouter:
    """``GET /model``: schema, versions, training metrics."""
    router = APIRouter(tags=["about"])

    @router.get("/model")
    async def model() -> dict[str, Any]:
        artefact = service.champion
        return {
            "name": artefact.name,
            "version": artefact.version,
            "use_case": artefact.use_case,
            "synthetic": artefact.synthetic,
            "source": dict(artefact.source),
            "sampling": artefact.sampling,
            "metrics": dict(artefact.metrics),
            "schema": artefact.schema.to_dict(),
            **service.versions.describe(),
        }

    return router


def versions_router(
    service: Service,
    make_runtime: Callable[[Artefact], ModelRuntime],
    register: Callable[[Artefact], None],
    folders: tuple[Path, ...] | None = None,
) -> APIRouter:
    """What operators do with versions; for the management port only.

    Args:
        service: whose versions.
        make_runtime: makes the runtime of an artefact that is to be loaded.
        register: makes a new artefact known to the prediction log; blocks.
        folders: resolved ones, in which an artefact must lie; None takes any path.
    """
    router = APIRouter(prefix="/models", tags=["models"])
    versions = service.versions
    traffic, challenger = TypeAdapter(Traffic), TypeAdapter(Challenger)

    @router.get("")
    async def show() -> dict[str, Any]:
        return versions.describe()

    @router.put("/challenger", openapi_extra=described(challenger))
    async def challenge(request: Request) -> dict[str, Any]:
        wanted = await read_json(request, challenger)
        if folders is not None and not await asyncio.to_thread(inside, wanted.artefact, folders):
            raise ApiError(403, "other", OUTSIDE)
        try:
            artefact = await asyncio.to_thread(_load, wanted.artefact, register)
        except DomainError as error:
            raise ApiError(409, "other", str(error)) from None
        model = service.model(artefact, make_runtime(artefact))
        await versions.challenge(model, split=wanted.split, shadow=wanted.shadow)
        return versions.describe()

    @router.delete("/challenger")
    async def withdraw() -> dict[str, Any]:
        await versions.withdraw()
        return versions.describe()

    @router.put("/traffic", openapi_extra=described(traffic))
    async def ratio(request: Request) -> dict[str, Any]:
        wanted = await read_json(request, traffic)
        await versions.traffic(split=wanted.split, shadow=wanted.shadow)
        return versions.describe()

    @router.post("/promote")
    async def promote() -> dict[str, Any]:
        await versions.promote()
        return versions.describe()

    @router.post("/rollback")
    async def roll_back() -> dict[str, Any]:
        await versions.roll_back()
        return versions.describe()

    return router


def _load(path: str, register: Callable[[Artefact], None]) -> Artefact:
    artefact = load_artefact(Path(path))
    register(artefact)
    return artefact
