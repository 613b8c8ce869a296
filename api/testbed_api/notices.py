"""What an operator should look at though requests are served: one sentence of each kind."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger(__name__)


class Notices:
    """The sentences that hold now; a new one is logged. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}

    @property
    def texts(self) -> list[str]:
        """All of them."""
        return list(self._texts.values())

    def put(self, kind: str, text: str | None, *, log: bool = True) -> None:
        """Let a sentence stand for its kind, or nothing.

        Args:
            kind: of which there is one sentence at most.
            text: the sentence; None where all is well.
            log: whether a sentence that differs from the one before is logged.
        """
        with self._lock:
            before = self._texts.get(kind)
            others = {key: each for key, each in self._texts.items() if key != kind}
            self._texts = others if text is None else {**others, kind: text}
        if log and text is not None and text != before:
            logger.error("%s", text)
