"""Tests of the ids of predictions."""

from __future__ import annotations

import uuid

from testbed_api.serving.service import random_ids

COUNT = 2_000


def test_every_id_is_a_random_uuid_of_its_own() -> None:
    """Any library reads them as version 4, in the usual spelling, and none comes twice."""
    ids = random_ids()
    made = [next(ids) for _ in range(COUNT)]
    assert len(set(made)) == COUNT
    for text in made:
        read = uuid.UUID(text)
        assert (read.version, read.variant, str(read)) == (4, uuid.RFC_4122, text)


def test_all_bits_but_six_are_random() -> None:
    """Each is set in about half of 2,000 ids; 112 are five standard deviations."""
    ids = random_ids()
    made = [uuid.UUID(next(ids)).int for _ in range(COUNT)]
    fixed = {128 - 1 - bit for bit in (48, 49, 50, 51, 64, 65)}
    for bit in set(range(128)) - fixed:
        assert abs(sum(number >> bit & 1 for number in made) - COUNT / 2) < 112, bit
