"""The API that comes with the testbed."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import httpx
from pydantic import Field
from testbed_otel import names

from testbed.clients import loopback
from testbed.componentnames import API, LOAD
from testbed.facts.finalcounts import behind
from testbed.stack.addresses import MANAGEMENT, PUBLIC, USUAL_PORTS, management_addresses
from testbed.stack.components import Component, ProgramComponent
from testbed.stack.environments import api_environment
from testbed.stack.links import ways
from testbed.stack.ports import HOST, allocate, allocate_row
from testbed.stack.probes import api_not_ready
from testbed.targets.base import TARGETS, TargetModel

if TYPE_CHECKING:
    from testbed.clients.prometheus import PrometheusClient
    from testbed.stack.context import StackContext
    from testbed.stack.ports import PortClaims

SWITCH: Final = "OTEL_SDK_DISABLED"


@TARGETS.register
class BundledApi(TargetModel):
    """The prediction service that comes with the testbed."""

    instrumented: ClassVar[bool] = True
    kind: Literal["bundled"] = "bundled"
    serving: dict[str, str] = Field(
        {}, description="Variables by which it serves another model than one of the testbed's."
    )

    @property
    def name(self) -> str:
        """Its component."""
        return API

    @property
    def jobs(self) -> tuple[str, ...]:
        """Its own."""
        return (names.JOB_API,)

    def endpoints(self, claims: PortClaims, replicas: int) -> dict[str, str]:
        """The public port, and one management port after the other."""
        row = allocate_row(management_addresses(replicas), USUAL_PORTS[MANAGEMENT], claims)
        ports = row | allocate({PUBLIC: USUAL_PORTS[PUBLIC]}, claims)
        return {address: f"{HOST}:{port}" for address, port in ports.items()}

    def components(self) -> tuple[Component, ...]:
        """One process, which starts its replicas itself."""
        return (self.switched(telemetry=True),)

    def switched(self, *, telemetry: bool) -> Component:
        """By the standard variable."""
        variables = self.serving if telemetry else {**self.serving, SWITCH: "true"}
        return ProgramComponent(
            self.name,
            lambda _: [sys.executable, "-m", "testbed_api"],
            api_not_ready,
            lambda context: api_environment(context) | variables,
        )

    def load_url(self, context: StackContext) -> str:
        """Its public port, or the proxy before it."""
        return f"http://{ways(LOAD, context.endpoints)[PUBLIC]}"

    def counters(self, context: StackContext) -> dict[str, str | None]:
        """Of every instance that the run started."""
        counters: dict[str, str | None] = dict.fromkeys(context.api_instances)
        for address, instance in context.serving.items():
            # The verdict says what a replica that is gone leaves open.
            with suppress(httpx.HTTPError):
                page = (
                    loopback.get(f"http://{address}/metrics", timeout=5.0).raise_for_status().text
                )
                if instance in page:  # else another one has just taken its place
                    counters[instance] = page
        return counters

    def arrived(
        self, context: StackContext, prometheus: PrometheusClient, *, at: float, window: float
    ) -> bool:
        """By its counters, which it pushes."""
        if "collector" in context.without:
            return True
        return behind(self.counters(context), prometheus, at=at, window=window) == 0

    def urls(self, context: StackContext) -> dict[str, str]:
        """Its page, and the metrics of each replica."""
        return {
            "API docs": f"{context.url(PUBLIC)}/docs",
            **{
                f"API metrics{f', replica {number}' if number else ''}": f"http://{address}/metrics"
                for number, address in enumerate(context.management)
            },
        }
