"""One model version being served: its runtime, with or without batching and a cache before it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from testbed_domain.columns import example_batch
from testbed_domain.encoding import Scored, decode, encode
from testbed_otel.names import (
    BATCH_DISPATCHES,
    ERROR_TYPE,
    MODEL_NAME,
    MODEL_VERSION,
    OUTCOME,
    PREDICTION_CLASS,
    PREDICTION_ERRORS,
    REASON,
)

from testbed_api.errors import ApiError
from testbed_api.options import Serving
from testbed_api.serving.batching import (
    BatchPolicy,
    ClientGoneError,
    DeadlineError,
    MicroBatcher,
    QueueFullError,
    measure,
)
from testbed_api.serving.runtime import ModelError
from testbed_api.serving.tickbatcher import MAX_ROWS, TickBatcher
from testbed_api.telemetry.accuracy import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import numpy as np
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

    from testbed_api.serving.batching import Reason, Watch
    from testbed_api.serving.runtime import ModelRuntime
    from testbed_api.telemetry.instruments import Instruments

logger = logging.getLogger(__name__)

# Seconds of inference up to which handing a row to a thread would take longer than predicting it
# (a hand-over and the way back took 54 µs, 62 at the ninth decile, on an idle loop).
INLINE_SECONDS: Final = 0.0002
# The client has left; the status is seen in metrics only.
CLIENT_GONE: Final = 499


class RequestOptions(NamedTuple):
    """What one caller asks for besides the answer.

    Attributes:
        key: decides between champion and challenger; equal keys get equal versions.
        timeout: seconds that the caller waits; None leaves it to the settings.
        gone: takes what to call when the caller leaves, and returns what ends that.
    """

    key: str | None = None
    timeout: float | None = None
    gone: Watch | None = None


class _Observer:
    """Turns batches into metrics."""

    def __init__(self, instruments: Instruments, version: dict[str, str]) -> None:
        self._instruments = instruments
        self._version = version
        for _, reasons in BATCH_DISPATCHES.values:
            for reason in reasons:
                instruments.batches.add(0, {**version, REASON: reason})

    def dispatched(self, reason: Reason, rows: int, waits: Sequence[float]) -> None:
        """See :class:`testbed_api.serving.batching.BatchObserver`."""
        self._instruments.batches.add(1, {**self._version, REASON: reason})
        # Straight into the children, without a trace: a batch belongs to no single request, and it
        # is dispatched in the context of whichever came before it.
        self._instruments.batch_size.child(self._version).record(rows)
        if waits:  # there is no queue else
            child = self._instruments.batch_wait.child(self._version)
            for wait in waits:
                child.record(wait)


class _Use:
    """The serving of one request; what fails in it bears the version. One is enough for all."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ApiError):
            error.version = self._served.artefact.version
        self._served.release()


class ServedModel:
    """A model version, from its loading to its end.

    Args:
        artefact: identity and schema.
        runtime: the model itself.
        instruments: the API's own metrics.
        options: how it is served.
        fault: why no model can predict now, or None: what goes wrong on purpose.
    """

    def __init__(
        self,
        artefact: Artefact,
        runtime: ModelRuntime,
        instruments: Instruments,
        options: Serving,
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.artefact = artefact
        self._problem: str | None = "the model is not loaded yet"
        self._fault = fault
        self.users = 0
        self.use = _Use(self)
        version = {MODEL_VERSION: artefact.version}
        self.attributes = {MODEL_NAME: artefact.name, **version}
        # By place of the class; numbers are counted without one.
        self.classes = [
            {**version, PREDICTION_CLASS: str(label)} for label in artefact.schema.classes
        ] or [version]
        self._version = version
        self._runtime = runtime
        self._instruments = instruments
        self._options = options
        self._observer = _Observer(instruments, version)
        self._tick_batcher = TickBatcher(self._answer, self._observer)
        self._batcher: MicroBatcher[list[Scored]] | None = None
        self._cache: OrderedDict[bytes, Scored] = OrderedDict()
        self._hit = {**version, OUTCOME: "hit"}
        self._miss = {**version, OUTCOME: "miss"}
        self._retired = False
        self._closing: asyncio.Task[None] | None = None
        for attributes in self.classes:
            instruments.predictions.add(0, attributes)
        for kind in dict(PREDICTION_ERRORS.values)[ERROR_TYPE]:
            instruments.errors.add(0, {**version, ERROR_TYPE: kind})
        for outcome in () if artefact.schema.regression else OUTCOMES:
            instruments.decisions.add(0, {**version, OUTCOME: outcome})
        if options.cache:
            instruments.cache.add(0, self._hit)
            instruments.cache.add(0, self._miss)

    @property
    def problem(self) -> str | None:
        """Why it can't predict now, or None."""
        return self._problem or self._fault()

    @property
    def inline(self) -> bool:
        """Whether it predicts in the event loop."""
        return self._batcher is None

    @property
    def chunk(self) -> int:
        """Most rows that :meth:`score` takes at a time."""
        return MAX_ROWS if self.inline else self._options.limits.rows

    @property
    def timeout(self) -> float:
        """Seconds within which a prediction is made or refused."""
        return self._options.timeout

    def describe(self) -> dict[str, Any]:
        """What operators and callers may know of it, ready for JSON."""
        artefact = self.artefact
        return {
            "name": artefact.name,
            "version": artefact.version,
            "loaded": self.problem is None,
            "problem": self.problem,
            "inline": self.inline,
            "created": artefact.created,
            "synthetic": artefact.synthetic,
            "metrics": dict(artefact.metrics),
            "rows": dict(artefact.splits),
            "libraries": dict(artefact.libraries),
        }

    async def load(self) -> None:
        """Load and warm up without holding requests up; a failure stays as :attr:`problem`."""
        try:
            seconds = await asyncio.to_thread(self._warm_up)
        except ModelError as error:
            logger.error("%s", error)  # noqa: TRY400 - expected: one line, no traceback
            self._problem = str(error)
            return
        options = self._options
        if options.batching == "always" or (
            options.batching == "auto" and seconds > INLINE_SECONDS
        ):
            self._batcher = MicroBatcher(
                self._score_encoded,
                BatchPolicy(options.limits, seconds),
                self._observer,
            )
        logger.info(
            "model %s: %.0f µs a row, %s",
            self.artefact.version,
            seconds * 1e6,
            "inline" if self.inline else "in batches",
        )
        self._problem = None

    def _warm_up(self) -> float:
        self._runtime.load()
        row = example_batch(self.artefact.schema, 1)
        try:
            return measure(self._runtime.predict, row)
        except ModelError:
            raise
        except Exception as error:  # the model may raise anything
            raise ModelError(f"{self.artefact.version} cannot predict: {error}") from error

    async def score(
        self, rows: Sequence[Row], deadline: float, options: RequestOptions
    ) -> list[Scored]:
        """Answers to up to :attr:`chunk` validated rows.

        Args:
            rows: feature name to value.
            deadline: when they are due, by ``time.monotonic``.
            options: who asks.

        Raises:
            ApiError: no answer, and why.
        """
        try:
            if self._options.cache and len(rows) == 1:
                return [await self._cached(rows, deadline, options)]
            return await self._predict(rows, deadline, options)
        except ApiError:
            raise
        except Exception as error:
            logger.exception("the model failed")
            raise ApiError(500, "model", "the model failed") from error

    async def _cached(
        self, rows: Sequence[Row], deadline: float, options: RequestOptions
    ) -> Scored:
        key = encode(self.artefact.schema, rows).tobytes()
        found = self._cache.get(key)
        self._instruments.cache.add(1, self._miss if found is None else self._hit)
        if found is None:
            (found,) = await self._predict(rows, deadline, options)
            self._cache[key] = found
            if len(self._cache) > self._options.cache:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return found

    async def _predict(
        self, rows: Sequence[Row], deadline: float, options: RequestOptions
    ) -> list[Scored]:
        if time.monotonic() > deadline:
            raise _late(0.0)
        if self._options.batching == "never":
            return self._answer(rows)
        if self._batcher is None:
            return await self._tick_batcher.predict(rows)
        encoded = encode(self.artefact.schema, rows)
        try:
            return await self._batcher.predict(encoded, deadline, options.gone)
        except QueueFullError as error:
            raise ApiError(503, "shed", str(error), _seconds(error.retry_after)) from None
        except DeadlineError as error:
            raise _late(error.retry_after) from None
        except ClientGoneError:
            raise ApiError(CLIENT_GONE, "cancelled", "the client left") from None

    def _answer(self, rows: Sequence[Row]) -> list[Scored]:
        return self._score_encoded(encode(self.artefact.schema, rows))

    def _score_encoded(self, encoded: np.ndarray) -> list[Scored]:
        return decode(self.artefact.schema, self._runtime.predict(encoded))

    def release(self) -> None:
        """One user fewer; see :attr:`users`."""
        self.users -= 1
        self._settle()

    def retire(self) -> None:
        """No new requests come; end when those that are here have been answered."""
        self._retired = True
        self._settle()

    def _settle(self) -> None:
        if self._retired and not self.users and self._closing is None:
            self._closing = asyncio.ensure_future(self.close())

    async def close(self) -> None:
        """Answer what waits, then end the model's thread."""
        if self._batcher is not None:
            await self._batcher.close()


def _late(retry_after: float) -> ApiError:
    return ApiError(503, "deadline", "the prediction can't be made in time", _seconds(retry_after))


def _seconds(value: float) -> int:
    return max(1, math.ceil(value))
