"""A prediction log that fails on purpose, for a test of the monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_api.log.sink import LogDecorator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testbed_domain.logstore import PredictionRow

    from testbed_api.log.labels import LabelOutcome
    from testbed_api.log.sink import Label, LogSink, RowOutcome


class FaultyLog(LogDecorator):
    """A sink that fails while its fault is set.

    Args:
        sink: takes what it may take.
        require: raises while the fault is set.
    """

    def __init__(self, sink: LogSink, require: Callable[[], None]) -> None:
        super().__init__(sink)
        self._require = require

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> RowOutcome | None:
        """See :class:`LogSink`."""
        self._require()
        return super().append(rows, missing=missing)

    def append_labels(self, items: Sequence[Label]) -> list[LabelOutcome]:
        """See :class:`LogSink`."""
        self._require()
        return super().append_labels(items)
