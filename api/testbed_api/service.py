"""What the API does, free of HTTP: predict, store labels, know whether it is ready."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from testbed_domain.encoding import Scored, decode, encode
from testbed_domain.logstore import PredictionRow
from testbed_otel.names import ERROR_TYPE, MODEL_NAME, MODEL_VERSION, OUTCOME, PREDICTION_CLASS

from testbed_api.answers import ApiError, Kind
from testbed_api.replies import own_fields
from testbed_api.runtime import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

    from testbed_api.faults import Faults
    from testbed_api.instruments import Instruments
    from testbed_api.logwriter import Writer
    from testbed_api.runtime import ModelRuntime
    from testbed_api.schemas import LabelBatch

logger = logging.getLogger(__name__)

NOT_READY_RETRY: Final = 1


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Service:
    """One model being served.

    Attributes:
        artefact: identity and schema of the model.
        runtime: the model itself.
        writer: where predictions and labels go.
        faults: what goes wrong on purpose.
        instruments: the API's own metrics.
        instance: ``service.instance.id`` of this process.
        clock: UTC Unix seconds.
        new_id: ids for predictions.
        problem: why the model can't predict now, or None.
    """

    artefact: Artefact
    runtime: ModelRuntime
    writer: Writer
    faults: Faults
    instruments: Instruments
    instance: str
    clock: Callable[[], float] = time.time
    new_id: Callable[[], str] = _new_id
    problem: str | None = "the model is not loaded yet"
    draining: bool = False
    _model: dict[str, str] = field(init=False)
    _classes: list[dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        version = {MODEL_VERSION: self.artefact.version}
        self._model = {MODEL_NAME: self.artefact.name, **version}
        self._classes = [
            {**version, PREDICTION_CLASS: str(label)} for label in self.artefact.schema.classes
        ]
        self.instruments.model_loaded.set(0, self._model)
        for attributes in self._classes:
            self.instruments.predictions.add(0, attributes)

    async def load(self) -> None:
        """Load the model without holding requests up; a failure stays as :attr:`problem`."""
        try:
            await asyncio.to_thread(self.runtime.load)
        except ModelError as error:
            logger.error("%s", error)  # noqa: TRY400 - expected: one line, no traceback
            self.problem = str(error)
        else:
            self.problem = None
            self.instruments.model_loaded.set(1, self._model)

    @property
    def problems(self) -> list[str]:
        """Why requests had better not come here now; empty when ready."""
        draining = "the process is shutting down" if self.draining else None
        return [text for text in (self.problem, self.writer.problem, draining) if text]

    @property
    def warnings(self) -> list[str]:
        """What an operator should look at though requests are served."""
        return [self.writer.warning] if self.writer.warning else []

    async def predict(self, row: Row, request_id: str | None) -> dict[str, Any]:
        """Predict one validated row; return when it is durable in the log.

        Returns:
            The reply, as :class:`testbed_api.schemas.PredictionReply` describes it.

        Raises:
            ApiError: the prediction was not made, or isn't in the log.
        """
        if self.problem is not None:
            raise ApiError(503, "not_ready", self.problem, NOT_READY_RETRY)
        if self.faults.fails():
            raise ApiError(500, "injected", "injected")
        started = time.perf_counter()
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        scored = self._score(row)
        self.instruments.inference.record(time.perf_counter() - started, self._model)
        logged = self._row(row, scored, request_id)
        await self.writer.append(logged)
        # Counted only now: what is counted is in the log.
        attributes = self._classes[scored.index]
        self.instruments.predictions.add(1, attributes)
        self.instruments.confidence.record(scored.probability, attributes)
        return {
            "prediction_id": logged.id,
            "prediction": self.artefact.schema.classes[scored.index],
            "probability": scored.probability,
            "probabilities": scored.probabilities,
            "model_version": self.artefact.version,
            "synthetic": self.artefact.synthetic,
            **own_fields(self.artefact.schema, scored),
        }

    def _score(self, row: Row) -> Scored:
        schema = self.artefact.schema
        try:
            # Inline: handing some 20 µs of work to a thread would take longer than the work.
            return decode(schema, self.runtime.predict(encode(schema, [row])))[0]
        except Exception as error:
            logger.exception("the model failed")
            raise ApiError(500, "model", "the model failed") from error

    def _row(self, row: Row, scored: Scored, request_id: str | None) -> PredictionRow:
        return PredictionRow(
            id=self.new_id(),
            time=self.clock(),
            request_id=request_id,
            instance=self.instance,
            model_name=self.artefact.name,
            model_version=self.artefact.version,
            features=row,
            prediction=str(self.artefact.schema.classes[scored.index]),
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

    @contextmanager
    def counting_errors(self) -> Iterator[None]:
        """Count what a prediction request in this block fails with."""
        try:
            yield
        except ApiError as error:
            self._count(error.kind)
            raise
        except HTTPException:  # a body over the limit
            self._count("validation")
            raise
        except Exception:
            self._count("other")
            raise

    def _count(self, kind: Kind) -> None:
        self.instruments.errors.add(1, {ERROR_TYPE: kind})
