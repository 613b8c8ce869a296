"""Headers of a service's file: what can't be sent is refused, and secrets stay variables."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_load import headertemplates
from testbed_load.errors import LoadError
from testbed_load.exchange import RequestTemplate
from testbed_load.headertemplates import FilledHeaders
from testbed_load.labeltemplate import LabelTemplate

TEMPLATES: TypeAdapter[Any] = TypeAdapter(headertemplates.HeaderTemplates)
KEY = "s3cret"


def test_variables_and_ids() -> None:
    """One of many variables in a longer text; all else stays as it is."""
    given = {"Authorization": "Bearer ${A_KEY}", "content-type": "text/x", "Other": "$A {x} {id}"}
    made = FilledHeaders(TEMPLATES.validate_python(given), {"A_KEY": KEY})
    assert made.of("r-1") == {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "text/x",  # in place of the load's own, which is written so
        "Other": "$A {x} r-1",
    }
    assert FilledHeaders({"A": "b"}, {}).of("r-1") == {"A": "b"}


def test_what_a_variable_holds_is_no_template() -> None:
    """A key may look like a placeholder, and a variable may be called as one."""
    variables = {"KEY": "a{id}b${id}", "id": "c{id}"}
    made = FilledHeaders(TEMPLATES.validate_python({"X": "${KEY} ${id} {id}{id}"}), variables)
    assert made.of("r-1") == {"X": "a{id}b${id} c{id} r-1r-1"}


def test_what_a_service_repeats_has_no_key() -> None:
    """Variables stand in its place; what is too short to be a secret is left."""
    made = FilledHeaders({"X": "${KEY} ${NUMBER} ${ID}"}, {"KEY": KEY, "NUMBER": "1", "ID": "{id}"})
    assert made.hidden(f"1 of {KEY}{KEY} {{id}}") == "1 of ${KEY}${KEY} ${ID}"
    assert FilledHeaders({}, {"KEY": KEY}).hidden(KEY) == KEY


@pytest.mark.parametrize("identifier", ["a\r\nX-Evil: 1", "\ud800", "\u4e2d", "a ", ""])
def test_id_that_can_not_be_sent(identifier: str) -> None:
    """Of a prediction it is whatever the service answered."""
    made = FilledHeaders({"X-Key": "${KEY}", "X-Of": "p {id}"}, {"KEY": KEY})
    assert made.of("a")["X-Of"] == "p a"
    with pytest.raises(LoadError, match="the header X-Of: its value, with the id,") as caught:
        made.of(identifier)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "variables",
    [{}, *({"KEY": each} for each in (f"{KEY}\n", f"{KEY}\u00e9", f"{KEY} ", f"\t{KEY}"))],
)
def test_variable_that_can_not_be_sent(variables: dict[str, str]) -> None:
    """Header and variable are named, and what it holds is not shown."""
    with pytest.raises(LoadError) as caught:
        FilledHeaders({"X-Key": "${KEY}"}, variables)
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
        ({"X": " a"}, "X: its value begins or ends with white space"),
        ({"X": "${KEY}\t"}, "X: its value begins or ends with white space"),
        *(
            ({"X": value}, "X: its value holds a ${ that begins no variable")
            for value in ("${SHOP-KEY}", "${ KEY }", "${1KEY}", "${KEY", "${}", "${KEY} ${")
        ),
        ({"content-length": "5"}, "content-length is set by the load's client"),
        ({"Transfer-Encoding": "chunked"}, "Transfer-Encoding is set by the load's client"),
        ({"Connection": "close"}, "Connection is set by the load's client"),
        ({"Expect": "100-continue"}, "Expect can't be given"),
    ],
)
def test_headers_that_can_not_be_sent(
    model: type[object], headers: dict[str, str], why: str
) -> None:
    """Refused as the file is read."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python({"headers": headers})
    assert why in str(caught.value)


def test_host_may_be_given() -> None:
    """A service may be found by it."""
    assert TEMPLATES.validate_python({"Host": "shop"}) == {"Host": "shop"}
