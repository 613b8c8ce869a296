"""An API made of real parts, but for the model and the database."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp
from testbed_api.http.app import create_app, create_management_app
from testbed_api.http.modelroutes import versions_router
from testbed_api.log.writer import LogWriter
from testbed_api.serving.faults import FaultSwitch
from testbed_api.serving.service import Service
from testbed_api.settings import ApiSettings
from testbed_api.telemetry.instruments import Instruments
from testbed_domain.artefact import Artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logstore import PredictionRow
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup
from testbed_otel.wallclock import NANOSECONDS, WallClock

from tests.support import artefacts
from tests.support.polling import PATIENCE

SCHEMA = FeatureSchema(
    features=(
        Feature("Pregnancies", "integer", "Number of pregnancies.", 0, 50, example=6),
        Feature("BMI (kg/m²)", "number", "Body mass index.", 0, 200, example=33.6),
        Feature("schema", "number", "A name that models reserve.", example=1.5),
        Feature("Fare", "number", "May be missing.", nullable=True, example=None),
    ),
    target="Outcome",
    classes=(0, 1),
    positive_class=1,
)
ROW = {"Pregnancies": 6, "BMI (kg/m²)": 33.6, "schema": 1.5, "Fare": 7.25}


class FakeRuntime:
    """Says class 1 with 0.75 from six pregnancies on, else class 0 with 0.875."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        self.load_error: Exception | None = None
        self.predict_error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def load(self) -> None:
        """See ``ModelRuntime``."""
        if self.load_error is not None:
            raise self.load_error

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """See ``ModelRuntime``."""
        if self.predict_error is not None:
            raise self.predict_error
        self.batches.append(batch)
        assert self.gate.wait(PATIENCE)
        positive = np.where(batch[:, 0] >= 6, 0.75, 0.125)
        return np.stack([1 - positive, positive], axis=1)


class FakeLog:
    """A log in memory that can be held up and broken."""

    def __init__(self) -> None:
        self.rows: list[PredictionRow] = []
        self.labels: dict[str, str] = {}
        self.groups: list[int] = []
        self.opened = 0
        self.closed = 0
        self.open_error: Exception | None = None
        self.write_error: Exception | None = None
        self.writing = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> FakeLog:
        """What the writer calls to open the log."""
        if self.open_error is not None:
            raise self.open_error
        self.opened += 1
        return self

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> None:
        """See ``LogSink``."""
        del missing
        self.writing.set()
        assert self.gate.wait(PATIENCE)
        if self.write_error is not None:
            raise self.write_error
        self.groups.append(len(rows))
        self.rows.extend(rows)

    def check(self) -> None:
        """See ``LogSink``."""

    def append_labels(self, items: Sequence[tuple[str, str, float]]) -> list[Any]:
        """See ``LogSink``."""
        if self.write_error is not None:
            raise self.write_error
        known = {row.id for row in self.rows}
        outcomes = []
        for identifier, label, _ in items:
            if identifier not in known:
                outcomes.append("unknown")
            elif self.labels.setdefault(identifier, label) is label:
                outcomes.append("stored")
            else:
                outcomes.append("duplicate")
        return outcomes

    def close(self) -> None:
        """See ``LogSink``."""
        self.closed += 1


@dataclass
class Api:
    """Both applications, what is inside of them, and a client for each."""

    settings: ApiSettings
    service: Service
    writer: LogWriter
    control: FaultSwitch
    runtime: FakeRuntime
    log: FakeLog
    telemetry: Telemetry
    app: ASGIApp
    public: httpx.AsyncClient
    management: httpx.AsyncClient
    row: dict[str, Any] = field(default_factory=lambda: dict(ROW))

    def value(self, name: str, **labels: str) -> float:
        """Value of one series on the registry behind /metrics; 0 where there is none."""
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0

    def requests(self, route: str, status: int, method: str = "POST", **labels: str) -> float:
        """Requests to a route with that status, as the HTTP metrics have counted them."""
        return self.value(
            "http_server_request_duration_seconds_count",
            http_request_method=method,
            http_route=route,
            http_response_status_code=str(status),
            url_scheme="http",
            network_protocol_version="1.1",
            error_type=labels.get("error_type", ""),
        ) or self.value(
            "http_server_request_duration_seconds_count",
            http_request_method=method,
            http_route=route,
            http_response_status_code=str(status),
            url_scheme="http",
            network_protocol_version="1.1",
        )

    def errors(self, kind: str) -> float:
        """Failed prediction requests of one kind."""
        return self.value("ml_prediction_errors_total", model_version="v1", error_type=kind)


ApiMaker = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def anyio_backend() -> str:
    """The tests run on asyncio, as the API does."""
    return "asyncio"


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    """What a model says about itself."""
    return artefacts.described(tmp_path, SCHEMA, name="fake-forest", use_case="fake")


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Telemetry that is pushed nowhere."""
    made = setup("ml-api", TelemetrySettings(endpoint=None))
    yield made
    made.shutdown()


@pytest.fixture
def instruments(telemetry: Telemetry) -> Instruments:
    """The API's instruments."""
    return Instruments.create(telemetry)


@pytest.fixture
def make_api(artefact: Artefact, telemetry: Telemetry, instruments: Instruments) -> ApiMaker:
    """Makes an API with settings of the test's own; ``load=False`` leaves the model unloaded."""

    @asynccontextmanager
    async def make(
        *,
        load: bool = True,
        **settings: Any,  # noqa: ANN401 - any of ApiSettings
    ) -> AsyncIterator[Api]:
        chosen = ApiSettings(artefact=artefact.path, **settings)
        log, runtime, clock = FakeLog(), FakeRuntime(), WallClock(lambda: 1000 * NANOSECONDS)
        control = FaultSwitch(chosen.fault_seed, clock)
        writer = LogWriter(log.open, instruments)
        service = Service(
            artefact,
            runtime,
            writer,
            control,
            instruments,
            telemetry.instance_id,
            clock.time,
            serving=chosen.serving,
        )
        app = create_app(chosen, service, telemetry)
        faults = control if chosen.faults_enabled else None
        versions = versions_router(service, lambda _: FakeRuntime(), lambda _: None)
        management_app = create_management_app(chosen, service, telemetry, faults, versions)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(writer.close)
            stack.push_async_callback(service.versions.close)
            stack.callback(log.gate.set)
            stack.callback(runtime.gate.set)
            public, management = [
                await stack.enter_async_context(
                    httpx.AsyncClient(
                        transport=httpx.ASGITransport(each, raise_app_exceptions=False),
                        base_url="http://api",
                    )
                )
                for each in (app, management_app)
            ]
            if load:
                await service.load()
            yield Api(
                chosen,
                service,
                writer,
                control,
                runtime,
                log,
                telemetry,
                app,
                public,
                management,
            )

    return make


@pytest.fixture
async def api(make_api: ApiMaker) -> AsyncIterator[Api]:
    """A loaded API with the default settings, and faults."""
    async with make_api(faults_enabled=True) as made:
        yield made
