"""Sampling: seeded, and from the pool that the reference is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_domain.artefact import ArtefactError
from testbed_domain.sampling import random_stream, sampler

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact


@pytest.mark.parametrize("name", ["synthetic", "iris"])
def test_stream_depends_on_the_seed_only(name: str, request: pytest.FixtureRequest) -> None:
    """The same seed gives the same rows however they are asked for; another seed others."""
    artefact: Artefact = request.getfixturevalue(name)
    whole = sampler(artefact, 5).draw(600)
    piecemeal = sampler(artefact, 5)
    pieces = [row for size in (1, 299, 0, 300) for row in piecemeal.draw(size)]
    assert pieces == whole
    assert sampler(artefact, 6).draw(600) != whole


def test_traffic_comes_from_the_reference(iris: Artefact) -> None:
    """Every drawn row is a reference row with its label, and all of them come up evenly."""
    pool = {(tuple(row.features.values()), row.label) for row in iris.reference()}
    drawn = sampler(iris, 1).draw(5_000)
    seen = Counter((tuple(row.values()), label) for row, label in drawn)
    assert set(seen) == pool
    # About 94 draws of each row; twins in the data come twice as often.
    assert max(seen.values()) < 300


def test_drawn_rows_may_be_changed(iris: Artefact) -> None:
    """Changing a drawn row changes no later draw."""
    pool = [row.features for row in iris.reference()]
    stream = sampler(iris, 1)
    for row, _ in stream.draw(500):
        row.clear()
    assert all(row in pool for row, _ in stream.draw(500))


def test_generator_traffic_is_no_training_data(synthetic: Artefact) -> None:
    """With the seed of training, traffic still shares no row with the reference."""
    reference = [row.features for row in synthetic.reference()]
    drawn = [row for row, _ in sampler(synthetic, synthetic.seed).draw(300)]
    assert not [row for row in drawn if row in reference]


def test_generator_traffic_is_distributed_as_the_reference(synthetic: Artefact) -> None:
    """Means of 2,000 drawn and 300 reference rows differ by less than four standard errors."""
    drawn = [row for row, _ in sampler(synthetic, 3).draw(2_000)]
    reference = [row.features for row in synthetic.reference()]
    for name in synthetic.schema.names:
        new = np.array([row[name] for row in drawn], float)
        old = np.array([row[name] for row in reference], float)
        error = np.hypot(new.std() / 2_000**0.5, old.std() / 300**0.5)
        assert abs(new.mean() - old.mean()) < 4 * error


def test_streams_of_one_seed_are_independent() -> None:
    """Each purpose has draws of its own."""
    first = random_stream(1, "train").random(4)
    assert (first == random_stream(1, "train").random(4)).all()
    assert (first != random_stream(1, "traffic").random(4)).all()


def test_nothing_to_draw_from(iris: Artefact) -> None:
    """An artefact without a pool, of a use case without a generator, is refused."""
    files = {name: value for name, value in iris.files.items() if name != "pool.jsonl"}
    with pytest.raises(ArtefactError, match="neither a pool nor a generator"):
        sampler(replace(iris, files=files), 1)
