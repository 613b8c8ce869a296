"""What a component must know to be started."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.componentnames import API
from testbed.componentsettings import ComponentSettings
from testbed.driftplan import DriftPlan
from testbed.layout import RunLayout
from testbed.settings import Settings
from testbed.stack.addresses import COLLECTOR_HTTP, PROMETHEUS, management_addresses
from testbed.stack.build import Tools
from testbed.stack.configuration import (
    NativeConfiguration,
)
from testbed.stack.database import ADDRESS, OwnDatabase
from testbed.stack.gate import Gate
from testbed.stack.links import ways
from testbed.stack.ports import PortClaims

if TYPE_CHECKING:
    from testbed.targets.base import TargetModel


@dataclass(slots=True)
class StackContext:
    """All that a component needs to know to be started.

    Attributes:
        layout: files of the run.
        settings: effective settings.
        tools: compiled tools.
        endpoints: Compose address to ``127.0.0.1:port``.
        claims: hold those ports against other testbeds, for as long as this process lives.
        configuration: rendered configuration files.
        factor: time scale.
        log_url: SQLAlchemy URL of the prediction log.
        database: the server of that log, where the run has its own.
        use_case: name of the use case.
        target: the system under test.
        faults: whether the API offers its fault control.
        without: components that are left out.
        instances: component to the ``service.instance.id`` of its latest start.
        api_instances: every instance id that the API was started with, oldest first.
        replicas: processes of the API.
        trace_ratio: share of requests that the components sample.
        logs: whether the API sends its log records.
        serving: management address to the instance id of the latest replica there.
        played: settings of components that the scenario needs.
        gates: receiver of OTLP to the gate before it, where the scenario shuts one.
        drift_plan: windows of the drift job in a run; None evaluates by time.
        token_file: of the management port's token; None is that of the run.
        born: Unix time before the first sample of any component, where that is before the run.
        drift_since: Unix time at which the drift job began anew for the run; None where it did not.
    """

    layout: RunLayout
    settings: Settings
    tools: Tools
    endpoints: Mapping[str, str]
    claims: PortClaims
    configuration: NativeConfiguration
    factor: float
    log_url: str
    use_case: str
    target: TargetModel
    faults: bool = True
    without: frozenset[str] = frozenset()
    instances: dict[str, str] = field(default_factory=dict)
    api_instances: list[str] = field(default_factory=list)
    replicas: int = 1
    trace_ratio: float = 0.01
    logs: bool = False
    serving: dict[str, str] = field(default_factory=dict)
    played: ComponentSettings = field(default_factory=ComponentSettings)
    gates: Mapping[str, Gate] = field(default_factory=dict)
    drift_plan: DriftPlan | None = None
    token_file: Path | None = None
    born: float | None = None
    drift_since: float | None = None
    database: OwnDatabase | None = None

    @property
    def api_log_url(self) -> str:
        """The prediction log as the API reaches it: through the proxy of that link, if any."""
        if self.database is None:
            return self.log_url
        return self.database.url(ways(API, self.endpoints)[ADDRESS])

    @property
    def management_token(self) -> Path:
        """File of the token that changes on a management port need."""
        return self.token_file or self.layout.management_token

    @property
    def management(self) -> list[str]:
        """Local management address of each replica of the API; none of another target."""
        if not self.target.instrumented:
            return []
        return [self.endpoints[address] for address in management_addresses(self.replicas)]

    def url(self, address: str) -> str:
        """Base URL of a Compose address; with the id where one is demanded."""
        guarded = address in {COLLECTOR_HTTP, PROMETHEUS} and self.configuration.intake
        return f"http://{self.endpoints[address]}{f'/{guarded}' if guarded else ''}"

    def port(self, address: str) -> str:
        """Local port of a Compose address, as text."""
        return self.endpoints[address].rpartition(":")[2]

    def is_bundled_api(self, component: str) -> bool:
        """Whether it is the API that comes with the testbed, whose replicas are known."""
        return self.target.instrumented and component == self.target.name

    def new_instance(self, component: str) -> str:
        """Give a component a fresh ``service.instance.id``: two starts never share a counter."""
        instance = f"{component}-{uuid.uuid4().hex[:8]}"
        self.instances[component] = instance
        # Of several replicas the journal reports, whose ids only begin with this one.
        if self.is_bundled_api(component) and self.replicas == 1:
            self.api_instances.append(instance)
        return instance
