"""The process of a service that a run starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.stack.environments import base_environment, telemetry_environment
from testbed.stack.process import ProcessRequest
from testbed.targets.servicefields import HTTP

if TYPE_CHECKING:
    from testbed.stack.context import StackContext
    from testbed.targets.http import HttpService

PORT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""Name of a port, in a command or a variable."""


class ServiceProcess:
    """Started by its command, with its ports and where its telemetry goes."""

    def __init__(self, service: HttpService) -> None:
        self._service = service
        self.name = service.name

    def request(self, context: StackContext) -> ProcessRequest:
        """Its command, with ports and where telemetry goes."""
        service = self._service
        ports = {name: context.port(service.address(name)) for name in service.ports}

        def filled(text: str) -> str:
            return PORT.sub(lambda found: ports[found[1]], text)

        program, *rest = map(filled, service.command)
        own = {name: filled(value) for name, value in service.environment.items()}
        return ProcessRequest(
            name=self.name,
            argv=(program, *rest),
            log=context.layout.logs / f"{self.name}.log",
            env=base_environment()
            | telemetry_environment(context, self.name, self.name)
            | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "PORT": ports[HTTP]}
            | own,
            cwd=Path(service.directory or "."),
        )

    def not_ready(self, context: StackContext) -> str | None:
        """Ask it."""
        return self._service.not_ready(context)
