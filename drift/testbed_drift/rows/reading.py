"""The prediction log as the drift job reads it: piece by piece, in little memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from testbed_domain.logstore import Columns, Place, PredictionLog, Selection

from testbed_drift.rows.packing import packed


@dataclass(frozen=True, slots=True)
class WindowLog:
    """An open log as a :class:`testbed_drift.rows.windows.LogReader`; ``with`` closes it.

    Attributes:
        log: where the rows are.
        cap: rows of a window above which the database gives a sample of about so many, chosen by
            the ids (:class:`testbed_domain.logreading.Selection`); None reads all.
    """

    log: PredictionLog
    cap: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def window(
        self, model_version: str, start: float | None, end: float | None, limit: int | None
    ) -> Columns:
        """The latest ``limit`` rows from ``start`` to before ``end``, oldest first."""
        return self.read(Selection(model_version, start, end, limit))

    def read(self, selection: Selection) -> Columns:
        """The chosen rows, oldest first, or a sample of them above the cap."""
        if self.cap is not None:
            rows = self.log.size(selection)
            if rows > self.cap:
                # A limit that leaves nothing out would only cost the database a sort.
                limit = selection.limit if rows == selection.limit else None
                selection = replace(selection, ratio=self.cap / rows, limit=limit)
        return packed(self.log.chunks(selection))

    def place(self, selection: Selection, number: int) -> Place | None:
        """Place of the ``number``-th of the chosen rows, oldest first; None: they are fewer."""
        return self.log.place(selection, number)

    def size(self, selection: Selection) -> int:
        """Number of the chosen rows, above the cap or not."""
        return self.log.size(selection)

    def reference(self, model_version: str) -> Columns:
        """The reference rows of the training."""
        return packed([self.log.reference(model_version)])
