"""What a run does while it evaluates."""

from __future__ import annotations

import gc

import pytest
from testbed.runner import no_garbage_collection


def _fail() -> None:
    with no_garbage_collection():
        assert not gc.isenabled()
        raise ValueError("broken")


def test_garbage_is_collected_again_after_evaluating_failed() -> None:
    """Nobody looks for cycles meanwhile, and afterwards the interpreter does as before."""
    with pytest.raises(ValueError, match="broken"):
        _fail()
    assert gc.isenabled()
