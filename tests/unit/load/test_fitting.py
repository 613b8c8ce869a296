"""Templates of a service against the rows, before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from testbed_domain.use_cases import get_use_case
from testbed_load.errors import LoadError
from testbed_load.exchange import ServiceExchange
from testbed_load.fitting import require_templates

IRIS = get_use_case("iris").schema
EXCHANGE = TypeAdapter(ServiceExchange)


@pytest.mark.parametrize(
    "request_", [{"headers": {"X-Key": "Bearer ${KEY}"}}, {"body": {"openapi": "/predict"}}]
)
def test_neither_keys_nor_examples_are_needed(request_: dict[str, Any]) -> None:
    """Both come later."""
    require_templates(EXCHANGE.validate_python({"request": request_}), IRIS)


@pytest.mark.parametrize(
    "wanted",
    [
        {"request": {"path": "/x/{nocolumn}", "headers": {"X": "${KEY}"}}},
        {"request": {"body": {"a": "{nocolumn}"}}},
        {"reply": {"prediction": "$.y", "classes": {"1": "nocolumn"}}},
    ],
)
def test_columns_and_classes_are_needed(wanted: dict[str, Any]) -> None:
    """By name."""
    with pytest.raises(LoadError, match="nocolumn"):
        require_templates(EXCHANGE.validate_python(wanted), IRIS)
