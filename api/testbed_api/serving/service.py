"""What the API does, free of HTTP: predict, store labels, know whether it is ready."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from testbed_domain.logstore import PredictionRow
from testbed_otel.names import ERROR_TYPE, MODEL_VERSION, OUTCOME

from testbed_api.errors import ApiError, Kind
from testbed_api.notices import Notices
from testbed_api.options import Serving
from testbed_api.serving.model import RequestOptions, ServedModel
from testbed_api.serving.reply import reply
from testbed_api.serving.slices import SliceScheduler
from testbed_api.serving.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from testbed_domain.artefact import Artefact
    from testbed_domain.encoding import Scored
    from testbed_domain.features import Row
    from testbed_otel.children import SumMetricFamily

    from testbed_api.log.labels import LabelBatch, LabelOutcome
    from testbed_api.log.writer import Writer
    from testbed_api.serving.faults import InjectedFaults
    from testbed_api.serving.runtime import ModelRuntime
    from testbed_api.telemetry.instruments import Instruments

NOT_READY_RETRY: Final = 1
ID_BYTES: Final = 16
IDS_DRAWN: Final = 256
# The two highest bits of the ninth byte say which kind of UUID it is.
VARIANTS: Final = "89ab" * 4
_PLAIN: Final = RequestOptions()


def random_ids() -> Iterator[str]:
    """Random UUIDs (version 4), with one call of the operating system for many of them.

    During that call another thread may take its turn, which each request would wait for.
    """
    while True:
        drawn = os.urandom(IDS_DRAWN * ID_BYTES).hex()
        for at in range(0, len(drawn), 2 * ID_BYTES):
            text = drawn[at : at + 2 * ID_BYTES]
            variant = VARIANTS[int(text[16], 16)]
            yield f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


@dataclass(slots=True)
class Service:
    """What is served: one model, or several versions of it.

    Attributes:
        artefact: identity and schema of the model that is champion first.
        runtime: that model itself.
        writer: where predictions and labels go.
        faults: what goes wrong on purpose.
        instruments: the API's own metrics.
        instance: ``service.instance.id`` of this process.
        clock: UTC Unix seconds.
        new_id: ids for predictions.
        serving: how models are served.
        turns: time in the event loop for what takes long.
        versions: the versions that are loaded.
    """

    artefact: Artefact
    runtime: ModelRuntime
    writer: Writer
    faults: InjectedFaults
    instruments: Instruments
    instance: str
    clock: Callable[[], float] = time.time
    new_id: Callable[[], str] = field(default_factory=lambda: random_ids().__next__)
    draining: bool = False
    notices: Notices = field(default_factory=Notices)
    serving: Serving = field(default_factory=Serving)
    turns: SliceScheduler = field(default_factory=SliceScheduler)
    versions: Versions = field(init=False)
    _counting: _Counting = field(init=False)

    def __post_init__(self) -> None:
        self.versions = Versions(self.model(self.artefact, self.runtime), self.instruments)
        self._counting = _Counting(self.instruments.errors, lambda: self.champion.version)

    def model(self, artefact: Artefact, runtime: ModelRuntime) -> ServedModel:
        """A further version, to be loaded, served as all others are."""
        return ServedModel(
            artefact, runtime, self.instruments, self.serving, lambda: self.faults.problem
        )

    @property
    def champion(self) -> Artefact:
        """Identity and schema of the version that answers unless another does."""
        return self.versions.routing.champion.artefact

    @property
    def problem(self) -> str | None:
        """Why the champion can't predict now, or None."""
        return self.versions.routing.champion.problem

    async def load(self) -> None:
        """Load the models without holding requests up; a failure stays as :attr:`problem`."""
        await self.versions.load()

    @property
    def problems(self) -> list[str]:
        """Why requests had better not come here now; empty when ready."""
        draining = "the process is shutting down" if self.draining else None
        return [text for text in (self.problem, self.writer.problem, draining) if text]

    @property
    def warnings(self) -> list[str]:
        """What an operator should look at though requests are served."""
        return [text for text in (self.writer.warning, *self.notices.texts) if text]

    async def predict(
        self, row: Row, request_id: str | None, options: RequestOptions = _PLAIN
    ) -> dict[str, Any]:
        """Predict one validated row; return when it is durable in the log.

        Returns:
            The reply, as :class:`testbed_api.http.schemas.PredictionReply` describes it.

        Raises:
            ApiError: the prediction was not made, or isn't in the log.
        """
        served = self._begin(request_id, options)
        with served.use:
            due = _due(served, options)
            (scored,) = await self._score(served, [row], options, due)
            logged = self._row(served, row, scored, request_id)
            await self.writer.append([logged], due, partial(self._count_late, served, [scored]))
            made = self._reply(served, logged, scored)
            self.versions.shadow(served, [row], [scored])
            return made

    async def predict_many(
        self, rows: Sequence[Row], request_id: str | None, options: RequestOptions = _PLAIN
    ) -> list[dict[str, Any]]:
        """Predict validated rows, all by one version; return when all are durable in the log.

        Returns:
            One reply per row, in their order.

        Raises:
            ApiError: no prediction was made, or none is in the log.
        """
        if not rows:
            return []
        served = self._begin(request_id, options)
        with served.use:
            due = _due(served, options)
            scored = await self._score(served, rows, options, due)
            logged = await self.turns.run(self._rows(served, rows, scored, request_id))
            await self.writer.append(logged, due, partial(self._count_late, served, scored))
            replies = await self.turns.run(self._replies(served, logged, scored))
            self.versions.shadow(served, rows, scored)
            return replies

    def _begin(self, request_id: str | None, options: RequestOptions) -> ServedModel:
        """The version for a request, held until its ``use`` ends.

        Raises:
            ApiError: it is not ready, or a fault is injected.
        """
        routing = self.versions.routing
        served = routing.champion
        if routing.split:
            served = routing.choose(options.key or request_id or self.new_id())
        version = served.artefact.version
        if served.problem is not None:
            raise ApiError(503, "not_ready", served.problem, NOT_READY_RETRY, version)
        if self.faults.fails():
            raise ApiError(500, "injected", "injected", version=version)
        served.users += 1
        return served

    async def _score(
        self, served: ServedModel, rows: Sequence[Row], options: RequestOptions, due: float
    ) -> list[Scored]:
        started = time.perf_counter()
        if delay := self.faults.delay():
            await asyncio.sleep(delay)
        if turn := self.faults.turn(time.monotonic(), due):
            await asyncio.sleep(turn)
        size = served.chunk
        if len(rows) <= size:
            scored = await served.score(rows, due, options)
        else:
            scored = []
            for start in range(0, len(rows), size):
                scored += await served.score(rows[start : start + size], due, options)
                await asyncio.sleep(0)  # others have their turn
        took = (time.perf_counter() - started) * self.faults.unit
        self.instruments.inference.record(took, served.attributes)
        return scored

    def _rows(
        self,
        served: ServedModel,
        rows: Sequence[Row],
        scored: Sequence[Scored],
        request_id: str | None,
    ) -> Generator[None, None, list[PredictionRow]]:
        """Rows of the log, made in small steps."""
        made: list[PredictionRow] = []
        for row, answer in zip(rows, scored, strict=True):
            made.append(self._row(served, row, answer, request_id))
            yield
        return made

    def _replies(
        self, served: ServedModel, logged: Sequence[PredictionRow], scored: Sequence[Scored]
    ) -> Generator[None, None, list[dict[str, Any]]]:
        """Replies, made and counted in small steps."""
        made: list[dict[str, Any]] = []
        for row, answer in zip(logged, scored, strict=True):
            made.append(self._reply(served, row, answer))
            yield
        return made

    def _count(self, served: ServedModel, scored: Scored) -> None:
        attributes = served.classes[scored.index]
        if not self.faults.misses():
            self.instruments.predictions.add(1, attributes)
        if scored.probability is None:
            self.instruments.value.record(float(scored.prediction), attributes)
        else:
            self.instruments.probability.record(scored.probability, attributes)

    def _count_late(
        self, served: ServedModel, scored: Sequence[Scored], _outcomes: list[LabelOutcome]
    ) -> None:
        """Count predictions that came into the log when their request had been refused."""
        for answer in scored:
            self._count(served, answer)

    def _reply(self, served: ServedModel, logged: PredictionRow, scored: Scored) -> dict[str, Any]:
        # Counted only now: what is counted is in the log.
        self._count(served, scored)
        return reply(served.artefact, logged.id, scored)

    def _row(
        self, served: ServedModel, row: Row, scored: Scored, request_id: str | None
    ) -> PredictionRow:
        artefact = served.artefact
        return PredictionRow(
            id=self.new_id(),
            time=self.clock(),
            request_id=request_id,
            instance=self.instance,
            model_name=artefact.name,
            model_version=artefact.version,
            features=row,
            prediction=scored.text,
            probability=scored.probability or 0.0,
            probabilities=scored.probabilities,
        )

    async def label(self, batch: LabelBatch) -> dict[str, Any]:
        """Store labels that have come.

        Returns:
            The reply, as :class:`testbed_api.http.schemas.LabelsReply` describes it.

        Raises:
            ApiError: the labels aren't in the log.
        """
        now = self.clock()
        items = batch["labels"]
        outcomes = await self.writer.append_labels(
            [(item["prediction_id"], str(item["label"]), now) for item in items],
            time.monotonic() + self.serving.timeout,
            self._count_labels,
        )
        self._count_labels(outcomes)
        return {
            "labels": [
                {"prediction_id": item["prediction_id"], "outcome": outcome}
                for item, outcome in zip(items, outcomes, strict=True)
            ]
        }

    def _count_labels(self, outcomes: list[LabelOutcome]) -> None:
        for outcome in set(outcomes):
            self.instruments.labels.add(outcomes.count(outcome), {OUTCOME: outcome})

    def counting_errors(self) -> AbstractContextManager[None]:
        """Count what a prediction request in this block fails with."""
        return self._counting


def _due(served: ServedModel, options: RequestOptions) -> float:
    """When the answer to a request is due, by ``time.monotonic``."""
    return time.monotonic() + (served.timeout if options.timeout is None else options.timeout)


class _Counting:
    """A context that counts errors; it keeps nothing, so one is enough for all requests.

    Args:
        errors: by version and kind.
        champion: the version that a request is for as long as none is chosen.
    """

    def __init__(self, errors: SumMetricFamily, champion: Callable[[], str]) -> None:
        self._errors = errors
        self._champion = champion

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            kind: Kind = "other"
            version = None
            if isinstance(error, ApiError):
                kind, version = error.kind, error.version
            elif isinstance(error, HTTPException):  # a body over the limit
                kind = "validation"
            self._errors.add(1, {MODEL_VERSION: version or self._champion(), ERROR_TYPE: kind})
