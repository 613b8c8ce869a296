"""The study of relations in a run whose time is scaled."""

from __future__ import annotations

import pytest
from testbed.stack.driftchoices import RELATIONS_ROWS
from testbed.stack.environments import relations_environment


@pytest.mark.parametrize(
    ("factor", "callers", "expected"),
    [
        (1.0, {}, {}),
        (60.0, {}, {}),
        (75.0, {}, {}),
        (76.0, {}, {RELATIONS_ROWS: "0"}),
        (76.0, {RELATIONS_ROWS: "2000"}, {RELATIONS_ROWS: "2000"}),
        (1.0, {RELATIONS_ROWS: "0"}, {RELATIONS_ROWS: "0"}),
    ],
)
def test_runs_study_where_there_is_room(
    factor: float, callers: dict[str, str], expected: dict[str, str]
) -> None:
    """The job's default holds, unless runs follow each other too fast; the caller's wish wins."""
    assert relations_environment(factor, callers | {"OTHER": "1"}) == expected
