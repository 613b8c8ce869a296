"""``POST /predict/stream``: one row per line, one answer per line, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import ClientDisconnect

from testbed_api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from fastapi import Request
    from testbed_domain.features import Row

    from testbed_api.http.guard import Allowance
    from testbed_api.http.rowbodies import RowReader
    from testbed_api.serving.model import RequestOptions
    from testbed_api.serving.service import Service
    from testbed_api.serving.slices import SliceScheduler

# Rows of a stream that are predicted, logged and answered together.
STREAM_ROWS: Final = 256
# Bytes of a stream's body that stay in memory; the rest goes to a temporary file.
SPOOL_BYTES: Final = 1 << 20
# Bytes that are read from it at a time.
BLOCK_BYTES: Final = 64 * 1024
BUSY_RETRY: Final = 5

Line = tuple[int, "bytes | None"]


class BodyBudget:
    """How much of large bodies is held at a time, by all callers together.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Hold this many bytes more.

        Raises:
            ApiError: 503, there is no room.
        """
        if self.held + size > self._limit:
            raise ApiError(503, "shed", "too many large bodies are held; try again", BUSY_RETRY)
        self.held += size

    def give(self, size: int) -> None:
        """Hold this many bytes less."""
        self.held -= size

    @contextlib.contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Hold bytes while the block runs.

        Raises:
            ApiError: 503, there is no room.
        """
        self.take(size)
        try:
            yield
        finally:
            self.give(size)


class BodyFile:
    """The whole body of a request, in a file that is gone when it is closed.

    Most clients send all before they read anything. Answers written meanwhile would fill the
    connection's buffers, and then neither side could go on.

    Args:
        budget: of all spools.
    """

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed by close

    async def fill(self, request: Request) -> None:
        """Take the body.

        Raises:
            ApiError: the client left, or too much is held already.
        """
        try:
            async for chunk in request.stream():
                self._budget.take(len(chunk))
                self._size += len(chunk)
                await self._call(self._file.write, chunk)
        except ClientDisconnect:
            message = "the client left before its request was complete"
            raise ApiError(400, "other", message) from None
        await self._call(self._file.seek, 0)

    async def block(self) -> bytes:
        """The next bytes; none at the end."""
        found: bytes = await self._call(self._file.read, BLOCK_BYTES)
        return found

    async def _call(self, function: Any, argument: Any) -> Any:  # noqa: ANN401 - a method of the file
        if self._size <= SPOOL_BYTES:
            return function(argument)
        # A disk may be slow, and nobody else waits for it.
        return await asyncio.to_thread(function, argument)

    def close(self) -> None:
        """Let go of the file."""
        self._budget.give(self._size)
        self._size = 0
        self._file.close()


class LineCutter:
    """Cuts blocks of bytes into lines.

    Args:
        limit: bytes of a line; one that is longer is None.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._rest: bytes | None = b""  # of the last line; None where it is too long

    def feed(self, block: bytes) -> Iterator[Line | None]:
        """The lines that end in this block with their numbers from 1; None for an empty one."""
        *ended, rest = block.split(b"\n")
        for part in ended:
            yield self._end(part)
        self._grow(rest)

    def end(self) -> Iterator[Line | None]:
        """The last line, where nothing ends it."""
        if self._rest != b"":
            yield self._end(b"")

    def _end(self, part: bytes) -> Line | None:
        self._grow(part)
        line, self._rest = self._rest, b""
        self._number += 1
        if line is not None and not line.strip():
            return None
        return self._number, line

    def _grow(self, part: bytes) -> None:
        if self._rest is not None:
            self._rest = self._rest + part if len(self._rest) + len(part) < self._limit else None


class RowStream:
    """The answers to the lines of one request.

    Args:
        service: predicts.
        rows: reads a line.
        turns: gives time in the event loop.
        allowance: of the caller's key; each line but the first takes one prediction from it.
        limit: bytes of a line.
    """

    def __init__(
        self,
        service: Service,
        rows: RowReader[Row],
        turns: SliceScheduler,
        allowance: Allowance,
        limit: int,
    ) -> None:
        self._service = service
        self._rows = rows
        self._turns = turns
        self._allowance = allowance
        self._cutter = LineCutter(limit)
        self._first = True

    async def answers(
        self, spool: BodyFile, identifier: str | None, options: RequestOptions
    ) -> AsyncIterator[bytes]:
        """The answers, some hundred lines at a time; closes the spool."""
        with contextlib.closing(spool), self._allowance:
            lines: Iterator[Line | None] = iter(())
            answered, last = _Answered(), False
            while True:
                ended = await self._turns.run(self._parse(lines, answered))
                if answered and (len(answered) >= STREAM_ROWS or (ended and last)):
                    yield await self._answer(answered, identifier, options)
                    answered = _Answered()
                if ended and last:
                    return
                if ended:
                    block = await spool.block()
                    lines = self._cutter.feed(block) if block else self._cutter.end()
                    last = not block

    def _parse(
        self, lines: Iterator[Line | None], answered: _Answered
    ) -> Generator[None, None, bool]:
        """Parse up to some hundred lines, in small steps; whether there are no more."""
        for line in lines:
            yield
            if line is None:
                continue
            number, text = line
            try:
                with self._service.counting_errors():
                    answered.good[number] = self._read(text)
            except ApiError as error:
                answered.failed[number] = _problem(error)
            if len(answered) >= STREAM_ROWS:
                return False
        return True

    def _read(self, text: bytes | None) -> Row:
        if not self._first:
            self._allowance.take(1)
        self._first = False
        if text is None:
            raise ApiError(413, "validation", "the line is too long")
        return self._rows.read(text)

    async def _answer(
        self, answered: _Answered, identifier: str | None, options: RequestOptions
    ) -> bytes:
        good = answered.good
        answers = answered.failed
        try:
            with self._service.counting_errors():
                replies = await self._service.predict_many(list(good.values()), identifier, options)
            answers |= dict(zip(good, replies, strict=True))
        except ApiError as error:
            answers |= dict.fromkeys(good, _problem(error))
        return await self._turns.run(_written(answers))


class _Answered:
    """Lines of one group: those that can be predicted, and the answers to all others."""

    def __init__(self) -> None:
        self.good: dict[int, Row] = {}
        self.failed: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self.good) + len(self.failed)


def _written(answers: dict[int, dict[str, Any]]) -> Generator[None, None, bytes]:
    """The answers as lines, in the order of their numbers."""
    parts: list[bytes] = []
    for number in sorted(answers):
        yield
        answer = {"line": number, **answers[number]}
        parts.append(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(parts)


def _problem(error: ApiError) -> dict[str, Any]:
    found: dict[str, Any] = {"status": error.status, "detail": error.detail}
    if error.retry_after is not None:
        found["retry_after"] = error.retry_after
    return found
