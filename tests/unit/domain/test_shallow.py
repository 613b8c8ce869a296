"""A dataclass as a mapping."""

from __future__ import annotations

from dataclasses import asdict

from testbed_domain.artefact import ReferenceRow
from testbed_domain.shallow import shallow_dict


def test_it_says_what_asdict_says_and_copies_nothing() -> None:
    """In the order of the fields, with slots as without."""
    row = ReferenceRow({"x": 1.0}, "1", 0.75, {"0": 0.25, "1": 0.75}, "1")
    found = shallow_dict(row)
    assert list(found.items()) == list(asdict(row).items())
    assert found["features"] is row.features
