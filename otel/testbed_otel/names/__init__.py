"""The telemetry vocabulary: every metric, attribute and resource that the parts may use.

Rules, dashboards, documentation and tests use only what stands here; a test holds the vocabulary
against a live scrape. Names follow the OpenTelemetry semantic conventions where those speak of the
matter (HTTP), and the same style where they don't (model, drift).

Everything is had from here; the modules below only keep the lists apart.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from testbed_otel.names import drift, quality, serving, telemetry
from testbed_otel.names.attributes import *  # noqa: F403 - one vocabulary, spread over several files
from testbed_otel.names.drift import *  # noqa: F403 - the same
from testbed_otel.names.foreign import *  # noqa: F403 - the same
from testbed_otel.names.metric import *  # noqa: F403 - the same
from testbed_otel.names.quality import *  # noqa: F403 - the same
from testbed_otel.names.serving import *  # noqa: F403 - the same
from testbed_otel.names.telemetry import *  # noqa: F403 - the same


def _metrics(*parts: ModuleType) -> tuple[Metric, ...]:  # noqa: F405 - of the same vocabulary
    values = (value for part in parts for value in vars(part).values())
    return tuple(value for value in values if isinstance(value, Metric))  # noqa: F405 - as above


DRIFT_JOB_METRICS: Final = _metrics(drift, quality)
METRICS: Final = (*_metrics(serving), *DRIFT_JOB_METRICS, *_metrics(telemetry))
