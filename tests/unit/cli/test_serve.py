"""``testbed serve``: what it hands to the service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from testbed.cli import components
from testbed.errors import UsageError

from testbed import usecasechoice

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, small_artefact: Artefact) -> dict[str, str]:
    """What the service would be started with; filled by the command."""
    found: dict[str, str] = {}

    def start(_program: str, _arguments: list[str], environment: dict[str, str]) -> None:
        found.update(environment)

    monkeypatch.setattr(os, "execve", start)
    monkeypatch.setattr(usecasechoice, "train_model", lambda *_, **__: small_artefact)
    return found


def test_challenger_reaches_the_service(
    environment: dict[str, str], small_artefact: Artefact
) -> None:
    """Its verified folder, its share, and whether it is a shadow."""
    components.serve(log_url="none", challenger=small_artefact.path, split=0.1, shadow=True)
    assert environment["TESTBED_API_CHALLENGER"] == str(small_artefact.path)
    assert environment["TESTBED_API_SPLIT"] == "0.1"
    assert environment["TESTBED_API_SHADOW"] == "true"


def test_without_a_challenger_there_is_no_share(environment: dict[str, str]) -> None:
    """A share of nothing is a mistake; and by default one model is served."""
    for options in ({"split": 0.1}, {"shadow": True}):
        with pytest.raises(UsageError, match="--challenger"):
            components.serve(log_url="none", **options)
    assert not environment
    components.serve(log_url="none")
    assert "TESTBED_API_CHALLENGER" not in environment
