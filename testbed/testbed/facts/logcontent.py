"""The prediction log row by row, joined with the truth by request id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class LogContent(Kept):
    """The prediction log row by row, joined with the truth by request id."""


def read_logcontent(sources: Sources) -> LogContent:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return LogContent()
