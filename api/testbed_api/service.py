"""What the API does, free of HTTP: predict, store labels, know whether it is ready."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from testbed_domain.logstore import PredictionRow
from testbed_otel.names import ERROR_TYPE, MODEL_VERSION, OUTCOME

from testbed_api.answers import ApiError, Kind
from testbed_api.ids import RandomIds
from testbed_api.notices import Notices
from testbed_api.replies import own_fields
from testbed_api.serving import Call, ServedModel, Serving
from testbed_api.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from testbed_domain.artefact import Artefact
    from testbed_domain.encoding import Scored
    from testbed_domain.features import Row
    from testbed_otel.cells import SumFamily

    from testbed_api.faults import Faults
    from testbed_api.instruments import Instruments
    from testbed_api.logwriter import Writer
    from testbed_api.runtime import ModelRuntime
    from testbed_api.schemas import LabelBatch

NOT_READY_RETRY: Final = 1
_PLAIN: Final = Call()


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
        versions: the versions that are loaded.
    """

    artefact: Artefact
    runtime: ModelRuntime
    writer: Writer
    faults: Faults
    instruments: Instruments
    instance: str
    clock: Callable[[], float] = time.time
    new_id: Callable[[], str] = field(default_factory=RandomIds)
    draining: bool = False
    notices: Notices = field(default_factory=Notices)
    serving: Serving = field(default_factory=Serving)
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
        self, row: Row, request_id: str | None, call: Call = _PLAIN
    ) -> dict[str, Any]:
        """Predict one validated row; return when it is durable in the log.

        Returns:
            The reply, as :class:`testbed_api.schemas.PredictionReply` describes it.

        Raises:
            ApiError: the prediction was not made, or isn't in the log.
        """
        served = self._begin(request_id, call)
        with served.use:
            (scored,) = await self._score(served, [row], call)
            logged = self._row(served, row, scored, request_id)
            await self.writer.append(logged)
            reply = self._reply(served, logged, scored)
            self.versions.shadow(served, [row], [scored])
            return reply

    async def predict_many(
        self, rows: Sequence[Row], request_id: str | None, call: Call = _PLAIN
    ) -> list[dict[str, Any]]:
        """Predict validated rows, all by one version; return when all are durable in the log.

        Returns:
            One reply per row, in their order.

        Raises:
            ApiError: no prediction was made, or some of them aren't in the log; those that are,
                are counted.
        """
        if not rows:
            return []
        served = self._begin(request_id, call)
        with served.use:
            scored = await self._score(served, rows, call)
            logged = [
                self._row(served, row, answer, request_id)
                for row, answer in zip(rows, scored, strict=True)
            ]
            outcomes = await asyncio.gather(
                *(self.writer.append(row) for row in logged), return_exceptions=True
            )
            replies = [
                self._reply(served, row, answer)
                for row, answer, outcome in zip(logged, scored, outcomes, strict=True)
                if outcome is None
            ]
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
            self.versions.shadow(served, rows, scored)
            return replies

    def _begin(self, request_id: str | None, call: Call) -> ServedModel:
        """The version for a request, held until its ``use`` ends.

        Raises:
            ApiError: it is not ready, or a fault is injected.
        """
        routing = self.versions.routing
        served = routing.champion
        if routing.split:
            served = routing.choose(call.key or request_id or self.new_id())
        version = served.artefact.version
        if served.problem is not None:
            raise ApiError(503, "not_ready", served.problem, NOT_READY_RETRY, version)
        if self.faults.fails():
            raise ApiError(500, "injected", "injected", version=version)
        served.users += 1
        return served

    async def _score(self, served: ServedModel, rows: Sequence[Row], call: Call) -> list[Scored]:
        started = time.perf_counter()
        patience = served.patience if call.patience is None else call.patience
        deadline = time.monotonic() + patience
        if delay := self.faults.delay():
            await asyncio.sleep(delay)
        size = served.chunk
        if len(rows) <= size:
            scored = await served.score(rows, deadline, call)
        else:
            scored = []
            for start in range(0, len(rows), size):
                scored += await served.score(rows[start : start + size], deadline, call)
                await asyncio.sleep(0)  # others have their turn
        self.instruments.inference.record(time.perf_counter() - started, served.attributes)
        return scored

    def _reply(self, served: ServedModel, logged: PredictionRow, scored: Scored) -> dict[str, Any]:
        # Counted only now: what is counted is in the log.
        attributes = served.classes[scored.index]
        self.instruments.predictions.add(1, attributes)
        self.instruments.probability.record(scored.probability, attributes)
        return {
            "prediction_id": logged.id,
            "prediction": served.artefact.schema.classes[scored.index],
            "probability": scored.probability,
            "probabilities": scored.probabilities,
            "model_version": served.artefact.version,
            "synthetic": served.artefact.synthetic,
            **own_fields(served.artefact.schema, scored),
        }

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
            prediction=str(artefact.schema.classes[scored.index]),
            probability=scored.probability,
            probabilities=scored.probabilities,
        )

    async def label(self, batch: LabelBatch) -> dict[str, Any]:
        """Store labels that have come.

        Returns:
            The reply, as :class:`testbed_api.schemas.LabelsReply` describes it.

        Raises:
            ApiError: the labels aren't in the log.
        """
        now = self.clock()
        items = batch["labels"]
        outcomes = await self.writer.append_labels(
            [(item["prediction_id"], str(item["label"]), now) for item in items]
        )
        for outcome in set(outcomes):
            self.instruments.labels.add(outcomes.count(outcome), {OUTCOME: outcome})
        return {
            "labels": [
                {"prediction_id": item["prediction_id"], "outcome": outcome}
                for item, outcome in zip(items, outcomes, strict=True)
            ]
        }

    def counting_errors(self) -> AbstractContextManager[None]:
        """Count what a prediction request in this block fails with."""
        return self._counting


class _Counting:
    """A context that counts errors; it keeps nothing, so one is enough for all requests.

    Args:
        errors: by version and kind.
        champion: the version that a request is for as long as none is chosen.
    """

    def __init__(self, errors: SumFamily, champion: Callable[[], str]) -> None:
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
