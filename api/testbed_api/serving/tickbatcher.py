"""Prediction in the event loop, where that is faster than any hand-over to a thread.

The requests that are there in one turn of the loop are predicted together: a forest of 100 trees
takes 10 µs for one row and 36 µs for 16, and several times as much in a process whose other work
has driven it out of the processor's caches. Nobody waits for who may come in a later turn.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from testbed_api.serving.batching import answer_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testbed_api.serving.batching import BatchObserver

Row = TypeVar("Row")
Answer = TypeVar("Answer")

# Rows that are predicted at a time.
MAX_ROWS: Final = 256


class TickBatcher(Generic[Row, Answer]):
    """Predicts what one turn of the event loop brings.

    Args:
        predict: answers rows, one for each, in their order.
        observer: is notified of each batch.
    """

    def __init__(
        self, predict: Callable[[Sequence[Row]], list[Answer]], observer: BatchObserver
    ) -> None:
        self._predict = predict
        self._observer = observer
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[list[Answer]]]] = []

    async def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answers to up to :data:`MAX_ROWS` rows.

        Raises:
            Exception: what the model raises for these rows.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Answer]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._run)  # after all that is ready to run now
        self._waiting.append((rows, future))
        return await future

    def _run(self) -> None:
        """Predict up to :data:`MAX_ROWS` rows; what waits beyond them has the next turn."""
        batch: list[tuple[Sequence[Row], asyncio.Future[list[Answer]]]] = []
        size = taken = 0
        for rows, future in self._waiting:
            if batch and size + len(rows) > MAX_ROWS:
                break
            taken += 1
            if not future.done():  # its caller was not cancelled
                batch.append((rows, future))
                size += len(rows)
        self._waiting = self._waiting[taken:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)
        if batch:
            self._answer(batch, size)

    def _answer(
        self, batch: list[tuple[Sequence[Row], asyncio.Future[list[Answer]]]], size: int
    ) -> None:
        self._observer.dispatched("alone" if len(batch) == 1 else "turn", size, ())
        answers = answer_parts(self._predict, [rows for rows, _ in batch], _join)
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _join(parts: list[Sequence[Row]]) -> Sequence[Row]:
    return list(itertools.chain.from_iterable(parts))
