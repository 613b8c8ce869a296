"""What takes predictions and labels, and what all that stand before it have in common.

From the request inwards: :class:`testbed_api.log.writer.LogWriter` (one commit for many requests),
then a sink, made of :class:`testbed_api.log.spooling.SpoolingLog` (rows wait while the database
fails), :class:`testbed_api.log.faulty.FaultyLog` (fails on purpose),
:class:`testbed_api.log.kpis.CountingLog` (counts decisions) and the database's own
:class:`testbed_domain.logstore.PredictionLog`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.logstore import PredictionRow

    from testbed_api.log.labels import LabelOutcome

Label: TypeAlias = tuple[str, str, float]
"""Prediction id, label as text, and time of arrival in UTC Unix seconds."""

RowOutcome = Literal["written", "spooled", "dropped"]


class LogBusyError(Exception):
    """The log can't do this now, but is not broken: try again."""


class LogSink(Protocol):
    """A prediction log, or a decorator of one; the writer's thread alone calls it."""

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> RowOutcome | None:
        """Make rows durable, all or none.

        Args:
            rows: what to append.
            missing: leave out those whose ids are there already.

        Returns:
            What became of them; None for written.
        """

    def append_labels(self, items: Sequence[Label]) -> list[LabelOutcome]:
        """Store labels; one outcome per item.

        Raises:
            LogBusyError: not now.
        """

    def check(self) -> None:
        """Raise where what was written is not in the log any more."""

    def close(self) -> None:
        """Let go of the database."""


class LogDecorator:
    """Passes everything on; what derives from it changes what it is there for.

    Args:
        sink: what stands behind.
    """

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> RowOutcome | None:
        """See :class:`LogSink`."""
        return self._sink.append(rows, missing=missing)

    def append_labels(self, items: Sequence[Label]) -> list[LabelOutcome]:
        """See :class:`LogSink`."""
        return self._sink.append_labels(items)

    def check(self) -> None:
        """See :class:`LogSink`."""
        self._sink.check()

    def close(self) -> None:
        """See :class:`LogSink`."""
        self._sink.close()
