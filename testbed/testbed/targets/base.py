"""What a target is: the system under test, whose monitoring a run proves.

One class per kind knows how it is started and asked, where its metrics are and which evidence it
can give. :data:`TARGETS` finds the classes by this folder, or by the entry points
``testbed.targets`` of installed packages.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Final

from testbed_domain.registry import Registry, kind_of

from testbed.errors import UsageError
from testbed.fields import StrictModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_load.exchange import ServiceExchange
    from testbed_rules.timescale import Tree

    from testbed.clients.prometheus import PrometheusClient
    from testbed.facts.servicecounts import CountedSeries
    from testbed.layout import RunLayout
    from testbed.scenario import Scenario
    from testbed.stack.components import Component
    from testbed.stack.context import StackContext
    from testbed.stack.ports import PortClaims
    from testbed.stack.stack import Stack


class TargetModel(StrictModel):
    """Base of the kinds.

    A kind adds the field ``kind``, a ``Literal`` of its name with that as its default.
    """

    instrumented: ClassVar[bool] = False
    """Whether its metrics, spans and prediction log are those of ``testbed_otel.names``: what a
    check needs of these is not applicable to any other target."""

    kind: str

    @property
    @abstractmethod
    def name(self) -> str:
        """What the timeline, the logs and Prometheus's jobs call it."""

    @property
    @abstractmethod
    def jobs(self) -> tuple[str, ...]:
        """Prometheus jobs that must be up before the load."""

    @abstractmethod
    def endpoints(self, claims: PortClaims, replicas: int) -> dict[str, str]:
        """Where it listens: Compose address to ``host:port``, its ports claimed."""

    @abstractmethod
    def components(self) -> tuple[Component, ...]:
        """Its processes, in their order of start; none where others run it."""

    def switched(self, *, telemetry: bool) -> Component:
        """Its process, with its telemetry or without it.

        Raises:
            UsageError: it can't be switched; says what is missing.
        """
        del telemetry
        raise UsageError(f"the telemetry of {self.name} can't be switched off")

    @abstractmethod
    def load_url(self, context: StackContext) -> str:
        """Base URL of what the load asks."""

    @abstractmethod
    def counters(self, context: StackContext) -> dict[str, str | None]:
        """Text of the metrics of each instance now; None where it is gone."""

    @abstractmethod
    def arrived(
        self, context: StackContext, prometheus: PrometheusClient, *, at: float, window: float
    ) -> bool:
        """Whether Prometheus holds what it counts now."""

    @abstractmethod
    def urls(self, context: StackContext) -> dict[str, str]:
        """What a person may want to open."""

    def refuse(self, scenario: Scenario) -> None:
        """Refuse what can't be played on it, before anything starts.

        Raises:
            UsageError: names what.
        """

    def require_use_case(self, name: str) -> None:
        """Require that it answers the rows of a use case.

        Raises:
            UsageError: it does not; says whose it answers.
        """

    @property
    def trusting(self) -> str | None:
        """What it executes, or asks of others, where it stands in a scenario of anybody.

        All that is said of it, where a kind knows nothing better; None where that is nothing.
        """
        return self.model_dump_json(exclude_defaults=True)

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that the load needs to ask it."""
        return ()

    def require_variables(self, variables: Mapping[str, str]) -> None:
        """Require the environment variables that asking it needs, before anything starts.

        Raises:
            UsageError: names one that is not set or can't be sent, and what needs it.
        """

    @property
    def own_rules(self) -> Path | None:
        """Folder of its own alerting rules, beside the shipped ones."""
        return None

    def scrape_configs(self) -> tuple[Tree, ...]:
        """Scrape jobs of Prometheus, in Compose addresses."""
        return ()

    def scrape_headers(self) -> Mapping[str, Mapping[str, str]]:
        """Name of a scrape job to the templates of headers that its page wants."""
        return {}

    def exchange(self) -> ServiceExchange | None:
        """How the load asks it and reads its answers; None: as the bundled API."""
        return None

    def counted(self) -> CountedSeries | None:
        """Which series count its requests; None where the bundled API's are known."""
        return None

    def come_first(self, stack: Stack, artefact: Artefact) -> Artefact:
        """Start what must be there before all else.

        Returns:
            The artefact whose reference rows the drift job compares with.
        """
        del stack
        return artefact

    def completed(self, context: StackContext) -> TargetModel:
        """The same with what can be read of it only once it runs.

        Raises:
            DomainError: it can't be read.
        """
        del context
        return self

    def recording(
        self, layout: RunLayout, scenario: Scenario, factor: float, log_url: str, seed: int
    ) -> AbstractContextManager[object]:
        """What goes on beside the load."""
        del layout, scenario, factor, log_url, seed
        return nullcontext()

    def placed(self, folder: Path) -> TargetModel:
        """The same with its relative paths below the folder of the file that it stands in."""
        del folder
        return self


TARGETS: Final[Registry[type[TargetModel]]] = Registry(
    "testbed.targets", "testbed.targets", kind_of
)
"""Every kind of target by its ``kind``."""
