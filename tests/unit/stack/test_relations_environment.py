"""The study of relations in a run whose time is scaled."""

from __future__ import annotations

import pytest
from testbed.stack.parts import RELATIONS_ROWS, relations_environment


@pytest.mark.parametrize(
    ("factor", "callers", "expected"),
    [
        (30.0, {}, {RELATIONS_ROWS: "0"}),
        (30.0, {RELATIONS_ROWS: "2000"}, {RELATIONS_ROWS: "2000"}),
        (1.0, {}, {}),
        (1.0, {RELATIONS_ROWS: "0"}, {RELATIONS_ROWS: "0"}),
    ],
)
def test_scaled_runs_study_only_if_asked(
    factor: float, callers: dict[str, str], expected: dict[str, str]
) -> None:
    """At production speed the job's default holds; in a scaled run the caller must ask for it."""
    assert relations_environment(factor, callers | {"OTHER": "1"}) == expected
