"""A service of one's own: any program that answers over HTTP, started by the run or running."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, field_validator, model_validator
from testbed_load.errors import LoadError
from testbed_load.exchange import ReplyPaths, RequestTemplate, ServiceExchange
from testbed_load.headertemplates import FilledHeaders, variables_in
from testbed_load.labeltemplate import LabelTemplate
from testbed_load.openapi import examples
from testbed_load.pathtemplate import unusable
from testbed_otel.masking import mask
from testbed_otel.urls import is_http_url

from testbed.clients import loopback
from testbed.clients.openapi import OPENAPI, read_document
from testbed.componentnames import JOBS_TAKEN, TAKEN
from testbed.errors import UsageError
from testbed.facts.servicecounts import CountedSeries, behind_pages
from testbed.stack.components import Component
from testbed.stack.ports import HOST, allocate
from testbed.stack.process import wait_until
from testbed.stack.scrapekeys import ScrapeKeys
from testbed.targets.base import TARGETS, TargetModel
from testbed.targets.recorder import TruthRecorder
from testbed.targets.scoring import score_reference
from testbed.targets.servicefields import (
    HTTP,
    Command,
    KnownUseCase,
    MetricsEndpoint,
    TelemetrySwitch,
    place_of,
    started_as,
)
from testbed.targets.serviceprocess import PORT, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_domain.artefact import Artefact
    from testbed_rules.timescale import Tree

    from testbed.clients.prometheus import PrometheusClient
    from testbed.layout import RunLayout
    from testbed.scenario import Scenario
    from testbed.stack.context import StackContext
    from testbed.stack.ports import PortClaims
    from testbed.stack.stack import Stack

TIMEOUT: Final = 5.0
BROKEN: Final = 500
SCORED: Final = "scored-model"


@TARGETS.register
class HttpService(TargetModel):
    """Any program that answers over HTTP."""

    kind: Literal["http"] = "http"
    service: str = Field(
        "service",
        pattern=r"^[a-z][a-z0-9_-]{0,39}$",
        description="Its name: in the logs' folder, the timeline, and as Prometheus's `job`.",
    )
    command: Command = Field(
        (),
        description="Starts it. `{http}`, and the name of any other port, becomes its number.",
    )
    directory: str | None = Field(
        None, description="Where it is started; null: the folder of this file."
    )
    environment: dict[str, str] = Field(
        {},
        description="Variables beside those of the shell, `PORT` and the standard `OTEL_*` ones.",
    )
    ports: tuple[str, ...] = Field(
        (HTTP,), description="Names of the ports that it listens on; the load asks `http`."
    )
    url: str | None = Field(
        None,
        description="Where it runs already, in place of a command; all its paths are below it.",
    )
    ready: str = Field("/", description="Path that answers below 500 once it can be asked.")
    start_timeout: float = Field(60.0, gt=0, description="Real seconds that it may take to start.")
    metrics: tuple[MetricsEndpoint, ...] = Field(
        (MetricsEndpoint(),), description="Empty: it pushes its metrics over OTLP, or has none."
    )
    request: RequestTemplate = RequestTemplate()
    reply: ReplyPaths = ReplyPaths()
    counts: CountedSeries = CountedSeries()
    labels: LabelTemplate | None = Field(
        None, description="How it is told true labels; null: it is told none."
    )
    use_cases: tuple[KnownUseCase, ...] = Field(
        (), description="Use cases whose rows it answers; empty: any that it is played with."
    )
    rules: str | None = Field(
        None, description="Folder of its alerting rules, which are loaded beside the shipped ones."
    )
    examples: tuple[Any, ...] = Field(
        (),
        description="Bodies that are sent in turn where `request.body` names a route; empty: those "
        "of its OpenAPI document.",
    )
    overhead: TelemetrySwitch = Field(
        TelemetrySwitch(), description="With telemetry and without it, for `testbed overhead`."
    )
    reference_rows: int | None = Field(
        None,
        ge=1,
        description="Rows of the reference that it is asked about before the run; null: all. What "
        "it predicts for these is what its predictions are compared with.",
    )

    @field_validator("ready")
    @classmethod
    def _is_path(cls, ready: str) -> str:
        if (reason := unusable(ready)) is not None:
            raise ValueError(f"it {reason}")
        return ready

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.command) == (self.url is not None):
            raise ValueError("give either command, which starts it, or url, where it runs")
        if self.service in TAKEN:
            raise ValueError(f"service: {self.service} is the name of a component; choose another")
        if HTTP not in self.ports:
            raise ValueError(f"ports: one must be called {HTTP}")
        if self.url is not None and not is_http_url(self.url):
            raise ValueError(f"url: {mask(self.url)!r} is not an http(s) URL")
        switches = (self.overhead.on, self.overhead.off)
        more = (text for each in switches for text in (*each.command, *each.environment.values()))
        for text in (*self.command, *self.environment.values(), *more):
            if unknown := [name for name in PORT.findall(text) if name not in self.ports]:
                raise ValueError(f"{text!r} asks for the port {unknown[0]!r}; name it in ports")
        return self

    @model_validator(mode="after")
    def _pages_can_be_scraped(self) -> Self:
        jobs = Counter(map(self._job_of, self.metrics))
        named = self.url is not None and urlsplit(self.url).username is not None
        for each in self.metrics:
            job = self._job_of(each)
            if each.port not in self.ports:
                raise ValueError(f"metrics: there is no port {each.port!r} among ports")
            if jobs[job] > 1:
                raise ValueError(f"metrics: two pages have the job {job}; give one another `job`")
            if job in JOBS_TAKEN:
                raise ValueError(f"metrics: the job {job} is one of the testbed's; give another")
            if named and "authorization" in map(str.lower, each.headers):
                raise ValueError("url: it names a user, and a page of metrics an Authorization")
        return self

    @property
    def name(self) -> str:
        """As its file says."""
        return self.service

    def _job_of(self, page: MetricsEndpoint) -> str:
        return page.job or self.service

    @property
    def jobs(self) -> tuple[str, ...]:
        """Those of its pages; none where it pushes its metrics, or has none."""
        return tuple(dict.fromkeys(map(self._job_of, self.metrics)))

    def placed(self, folder: Path) -> Self:
        """Started in the folder of its file, or in one relative to that."""
        paths = {"directory": self.directory or ".", "rules": self.rules}
        placed = {key: str((folder / path).resolve()) for key, path in paths.items() if path}
        return self.model_copy(update=placed)

    def refuse(self, scenario: Scenario) -> None:
        """Faults of the bundled API, and settings of it, have nothing to act on.

        Raises:
            UsageError: the scenario needs them.
        """
        found = [
            f"{phase.name}: {fault.description}"
            for phase in scenario.phases
            for fault in phase.faults
            if fault.bundled
        ]
        if scenario.settings.api_environment or scenario.settings.api.keys:
            found.append("settings of the API")
        if self.request.shown_at and any(phase.drift for phase in scenario.phases):
            raise UsageError(
                f"the scenario {scenario.name} drifts rows, and the service {self.service} is sent "
                "the examples of its OpenAPI document in their place: see request.body of its file"
            )
        if scenario.settings.drift.on_retrain == "builtin":
            found.append("retraining of the model that is served")
        if scenario.logs:
            found.append("log records of the API (logs: true)")
        if found:
            raise UsageError(
                f"the scenario {scenario.name} can't be played on the service {self.service}, "
                f"because only the bundled API can do this: {'; '.join(found)}"
            )
        if self.directory is not None and not Path(self.directory).is_dir():
            raise UsageError(f"the service's directory {self.directory} does not exist")

    def require_use_case(self, name: str) -> None:
        """One of those that its file names, where it names any.

        Raises:
            UsageError: it is another one.
        """
        if self.use_cases and name not in self.use_cases:
            raise UsageError(
                f"the service {self.service} answers rows of {', '.join(self.use_cases)}, and is "
                f"to be sent rows of {name}: see use_cases of its file"
            )

    @property
    def _sent_headers(self) -> tuple[Mapping[str, str], ...]:
        told = () if self.labels is None else (self.labels.headers,)
        return (self.request.headers, *told, *(page.headers for page in self.metrics))

    @property
    def trusting(self) -> str:
        """Its commands with what they get, or where it is; and the variables that it is sent."""
        return started_as(
            self.command or (place_of(str(self.url)),),
            None if self.url is not None else self.directory,
            self.environment,
            () if self.overhead == TelemetrySwitch() else (self.overhead.on, self.overhead.off),
            self.variables,
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Those of its headers."""
        return tuple(name for headers in self._sent_headers for name in variables_in(headers))

    def require_variables(self, variables: Mapping[str, str]) -> None:
        """Those of its headers, of which Prometheus sends those of the pages of metrics.

        Raises:
            UsageError: names one that is not set, or can't be sent.
        """
        for headers in self._sent_headers:
            try:
                FilledHeaders(headers, variables)
            except LoadError as error:
                raise UsageError(f"the service {self.service}: {error}") from None
        ScrapeKeys(self.scrape_headers(), variables, Path())

    @property
    def own_rules(self) -> Path | None:
        """As its file says."""
        return None if self.rules is None else Path(self.rules)

    def address(self, port: str = HTTP) -> str:
        """Compose-like address of one of its ports."""
        return f"{self.service}:{port}"

    def endpoints(self, claims: PortClaims, replicas: int) -> dict[str, str]:
        """A free port for each name; or where it runs already."""
        del replicas
        if self.url is not None:
            parts = urlsplit(self.url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            return dict.fromkeys(map(self.address, self.ports), f"{parts.hostname}:{port}")
        chosen = allocate(dict.fromkeys(self.ports, 0), claims)
        return {self.address(name): f"{HOST}:{port}" for name, port in chosen.items()}

    def components(self) -> tuple[Component, ...]:
        """Its process, where the run starts it."""
        return () if self.url is not None else (ServiceProcess(self),)

    def switched(self, *, telemetry: bool) -> Component:
        """Its process, started as its file says.

        Raises:
            UsageError: others have started it.
        """
        if self.url is not None:
            raise UsageError(
                f"the service {self.service} runs already, so that nobody can start it without its "
                "telemetry: give its file a command"
            )
        switch = self.overhead.on if telemetry else self.overhead.off
        update = {
            "command": switch.command or self.command,
            "environment": {**self.environment, **switch.environment},
        }
        return ServiceProcess(self.model_copy(update=update))

    def load_url(self, context: StackContext) -> str:
        """Its URL, or that of the port that was chosen for it."""
        return self.url or context.url(self.address())

    @property
    def root(self) -> str:
        """What all its paths begin with, of the path of its URL."""
        return "" if self.url is None else urlsplit(self.url).path.rstrip("/")

    def page_url(self, context: StackContext, page: MetricsEndpoint) -> str:
        """Where a page of metrics is."""
        if self.url is not None:
            return f"{self.url.rstrip('/')}{page.path}"
        return f"{context.url(self.address(page.port))}{page.path}"

    def scrape_configs(self) -> tuple[Tree, ...]:
        """One job for each page."""
        scheme = "http" if self.url is None else urlsplit(self.url).scheme
        return tuple(
            {
                "job_name": self._job_of(page),
                **page.scraped_below(self.root),
                "scheme": scheme,
                "static_configs": [
                    {"targets": [self.address(page.port)], "labels": dict(page.labels)}
                ],
            }
            for page in self.metrics
        )

    def scrape_headers(self) -> dict[str, Mapping[str, str]]:
        """Those of its pages."""
        return {self._job_of(page): page.headers for page in self.metrics if page.headers}

    def exchange(self) -> ServiceExchange:
        """By its templates."""
        return ServiceExchange(self.request, self.reply, self.labels, self.examples)

    def counted(self) -> CountedSeries:
        """As its file says."""
        return self.counts

    def counters(self, context: StackContext) -> dict[str, str | None]:
        """Its pages by their URL."""
        found: dict[str, str | None] = {}
        for page in self.metrics:
            url = self.page_url(context, page)
            found[url] = None
            headers = FilledHeaders(page.headers, os.environ).of("")
            with suppress(httpx.HTTPError):
                # As Prometheus follows them: to nobody who is to have no key.
                reply = loopback.get(
                    url, timeout=TIMEOUT, headers=headers, follow_redirects=not headers
                )
                found[url] = reply.raise_for_status().text
        return found

    def arrived(
        self, context: StackContext, prometheus: PrometheusClient, *, at: float, window: float
    ) -> bool:
        """By the series that count its requests, which Prometheus scrapes."""
        pages = self.counters(context)
        jobs = self.jobs or (self.name,)
        return not behind_pages(pages, prometheus, self.counts, jobs, at=at, window=window)

    def urls(self, context: StackContext) -> dict[str, str]:
        """Itself and its pages of metrics."""
        pages = {
            f"{self._job_of(page)} metrics": self.page_url(context, page) for page in self.metrics
        }
        return {self.service: self.load_url(context), **pages}

    def not_ready(self, context: StackContext) -> str | None:
        """Why it can't be asked yet."""
        try:
            base = self.load_url(context).rstrip("/")
            reply = loopback.get(f"{base}/{self.ready.removeprefix('/')}", timeout=TIMEOUT)
        except httpx.HTTPError as error:
            return loopback.reason(error)
        if reply.status_code < BROKEN:
            return None
        return f"{self.ready} answers {reply.status_code}: {reply.text[:200].strip()}"

    def come_first(self, stack: Stack, artefact: Artefact) -> Artefact:
        """Start it, and ask what it predicts for the reference rows."""
        for component in self.components():
            stack.start_component(component.name)
            stack.wait_component(component.name, time.monotonic() + self.start_timeout)
        if self.url is not None:
            wait_until(
                lambda: self.not_ready(stack.context),
                self.start_timeout,
                what=f"the service at {self.url}",
            )
        if not self.reply.predicts:
            return artefact
        stack.note("reference_asked", self.service)
        folder = stack.context.layout.root / SCORED
        return score_reference(self, self.load_url(stack.context), artefact, folder)

    def completed(self, context: StackContext) -> Self:
        """With the examples of its OpenAPI document, where its requests are made of these.

        Raises:
            LoadError: it shows none; says what it shows.
        """
        route = self.request.shown_at
        if route is None or self.examples:
            return self
        headers = FilledHeaders(self.request.headers, os.environ).of(self.service)
        document = read_document(self.load_url(context), headers)
        if document is None:
            raise UsageError(
                f"request.body wants the examples of {route}, and the service {self.service} shows "
                f"no OpenAPI document at {', '.join(OPENAPI)}"
            )
        found = examples(document, route, self.request.method)
        return self.model_copy(update={"examples": found})

    def recording(
        self, layout: RunLayout, scenario: Scenario, factor: float, log_url: str, seed: int
    ) -> AbstractContextManager[object]:
        """What the load sent and got back is the prediction log."""
        return TruthRecorder(
            layout, log_url, scenario.labels, factor, seed=seed, service=self.service
        )
