"""What `make test` leaves out, and that CI leaves nothing out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.longplays import OPTION, REASON, leave_out


@pytest.mark.parametrize(
    ("asked", "ci", "left_out"), [(True, "", True), (True, "true", False), (False, "", False)]
)
def test_long_plays_are_left_out_by_name_where_that_is_asked_for(
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    *,
    asked: bool,
    ci: str,
    left_out: bool,
) -> None:
    """With CI set nothing is, and a test that is not long never."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(pytestconfig.option, OPTION[2:].replace("-", "_"), asked)
    items: dict[str, Any] = {
        name: pytest.Function.from_parent(request.node.parent, name=name, callobj=lambda: None)
        for name in ("short", "long")
    }
    items["long"].add_marker("long")
    leave_out(items.values(), pytestconfig)
    found = {name: item.get_closest_marker("skip") for name, item in items.items()}
    assert found["short"] is None
    assert (found["long"] is not None) is left_out
    assert not left_out or found["long"].kwargs["reason"] == REASON
