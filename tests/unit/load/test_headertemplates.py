"""Headers of a service's file: what can't be sent is refused, and secrets stay variables."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_load import headertemplates
from testbed_load.errors import LoadError
from testbed_load.exchange import RequestTemplate
from testbed_load.labeltemplate import LabelTemplate

TEMPLATES: TypeAdapter[Any] = TypeAdapter(headertemplates.HeaderTemplates)
KEY = "s3cret"


def test_variables_and_ids() -> None:
    """One of many variables in a longer text; all else stays as it is."""
    given = {"Authorization": "Bearer ${A_KEY}", "content-type": "text/x", "Other": "$A {x} {id}"}
    made = headertemplates.filled(TEMPLATES.validate_python(given), {"A_KEY": KEY})
    assert made == {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "text/x",  # in place of the load's own, which is written so
        "Other": "$A {x} {id}",
    }
    assert headertemplates.identified(made, "r-1")["Other"] == "$A {x} r-1"
    assert headertemplates.identified({"A": "b"}, "r-1") == {"A": "b"}


@pytest.mark.parametrize("variables", [{}, {"KEY": f"{KEY}\n"}, {"KEY": f"{KEY}\u00e9"}])
def test_variable_that_can_not_be_sent(variables: dict[str, str]) -> None:
    """Header and variable are named, and what it holds is not shown."""
    with pytest.raises(LoadError) as caught:
        headertemplates.filled({"X-Key": "${KEY}"}, variables)
    assert "X-Key" in str(caught.value)
    assert "KEY" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("model", [RequestTemplate, LabelTemplate])
@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"X Y": "a"}, "'X Y' is not the name of a header"),
        ({"": "a"}, "is not the name of a header"),
        ({"X": "a\r\nY: b"}, "X: its value holds a control character"),
        ({"X": "\u00e9"}, "beyond ASCII"),
        ({"X-Request-Id": "a"}, "X-Request-Id is set by the load"),
        ({"Traceparent": "a"}, "Traceparent is set by the load"),
        ({"X-Key": "a", "x-key": "b"}, "X-Key and x-key are the same header"),
    ],
)
def test_headers_that_can_not_be_sent(
    model: type[object], headers: dict[str, str], why: str
) -> None:
    """Refused as the file is read."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python({"headers": headers})
    assert why in str(caught.value)
