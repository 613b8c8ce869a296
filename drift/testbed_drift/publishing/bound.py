"""What the SDK's limit of series lets through."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from testbed_otel.children import SERIES_LIMIT

if TYPE_CHECKING:
    from opentelemetry.metrics import Observation

logger = logging.getLogger(__name__)


class SeriesLimiter:
    """Cuts the points of a metric to the limit, and says so once per metric."""

    def __init__(self) -> None:
        self._cut: set[str] = set()

    def first(self, name: str, points: list[Observation]) -> list[Observation]:
        """The points that are sent; the first ones say most."""
        if len(points) > SERIES_LIMIT and name not in self._cut:
            self._cut.add(name)
            logger.warning("%s has %d series; %d are sent", name, len(points), SERIES_LIMIT)
        return points[:SERIES_LIMIT]
