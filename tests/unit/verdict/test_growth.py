"""How much a counter grew in a run."""

from __future__ import annotations

import pytest
from testbed.facts.growth import grown


@pytest.mark.parametrize(
    ("points", "total"),
    [
        ([], 0),
        ([(5.0, 3.0)], 0),
        ([(10.0, 3.0), (11.0, 4.0)], 4),
        ([(9.0, 3.0), (10.0, 4.0), (11.0, 6.0)], 2),
        ([(9.0, 3.0), (10.0, 4.0), (11.0, 1.0), (12.0, 2.0)], 2),
        ([(9.0, 3.0), (11.0, 1.0)], 0),
        ([(12.0, 0.0), (13.0, 2.0), (14.0, 1.0)], 3),
    ],
)
def test_a_counter_grows_from_the_start_of_the_run_on(
    points: list[tuple[float, float]], total: float
) -> None:
    """One that is older counts from its first scrape in the run, one that is new from 0."""
    assert grown(points, 10.0) == total
