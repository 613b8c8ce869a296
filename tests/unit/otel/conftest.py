"""An OTLP receiver that keeps what it gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.otlpreceiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running OTLP receiver."""
    made = Receiver()
    yield made
    made.gate.set()
    made.stop()
