"""What a stack says of itself, for those who play on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from testbed.attached import read_attachment
from testbed.layout import RunLayout
from testbed.settings import Settings

from testbed import selfdescription

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.preparation import Prepared


def test_the_description_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the log's URL, and so a password, if that has one."""
    monkeypatch.setattr(selfdescription, "scenario_environment", lambda *_: {})
    context = SimpleNamespace(
        layout=RunLayout(tmp_path / "run").create(),
        serving={"127.0.0.1:1": "api-1"},
        factor=30.0,
        endpoints={"prometheus:9090": "127.0.0.1:2"},
        log_url="postgresql://me:secret@db/log",
        target=SimpleNamespace(instrumented=True),
    )
    options = SimpleNamespace(rules=None, without=frozenset())
    prepared = SimpleNamespace(context=context, layout=context.layout, scenario=None)
    prepared.options = options
    file = selfdescription.describe(cast("Prepared", prepared), Settings(home=tmp_path))
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_attachment(file).log_url == context.log_url
