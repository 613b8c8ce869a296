"""``/faults`` on the management port: which faults are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from testbed_api.http.bodies import described, read_json
from testbed_api.serving.faults import FaultState

if TYPE_CHECKING:
    from testbed_api.serving.faults import FaultSwitch


def fault_router(control: FaultSwitch) -> APIRouter:
    """``GET``, ``PUT`` and ``DELETE /faults``."""
    router = APIRouter(prefix="/faults", tags=["faults"])
    adapter = TypeAdapter(FaultState)

    @router.get("")
    async def show() -> FaultState:
        return control.state

    @router.put("", openapi_extra=described(adapter))
    async def replace(request: Request) -> FaultState:
        control.state = await read_json(request, adapter)
        return control.state

    @router.delete("")
    async def clear() -> FaultState:
        control.state = FaultState()
        return control.state

    return router
