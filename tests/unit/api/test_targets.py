"""Scrape targets that the API leaves for Prometheus."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from testbed_api.__main__ import main
from testbed_api.errors import SettingsError
from testbed_api.ops.targets import forget_targets, write_target


def test_each_replica_is_a_target_of_its_own(tmp_path: Path) -> None:
    """A later start takes the place of the earlier one at its port; all go before a first start."""
    write_target(tmp_path, "api", 9464, "api-0-a")
    write_target(tmp_path, "api", 9465, "api-1-a")
    write_target(tmp_path, "api", 9464, "api-0-b")
    found = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("api-*.json"))]
    assert found == [
        [{"targets": ["api:9464"], "labels": {"instance": "api-0-b"}}],
        [{"targets": ["api:9465"], "labels": {"instance": "api-1-a"}}],
    ]
    (tmp_path / "cadvisor.json").write_text("[]")
    forget_targets(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cadvisor.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """In one line, with the variable to change."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SettingsError, match="TESTBED_API_TARGETS_FOLDER: cannot write"):
        write_target(file, "api", 9464, "api-0-a")


def test_a_start_forgets_earlier_ones_and_has_an_id_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even where it then can't run; the id that the environment gives is its beginning."""
    write_target(tmp_path, "api", 9466, "api-2-a")
    monkeypatch.setenv("TESTBED_API_TARGETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("TESTBED_API_ARTEFACT", str(tmp_path / "nothing"))
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=api-x")
    monkeypatch.setattr(sys, "argv", ["testbed_api"])
    ids = set()
    for _ in range(2):
        assert main() == 2
        ids.add(os.environ["OTEL_RESOURCE_ATTRIBUTES"])
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=api-x")
    assert len(ids) == 2
    assert all(text.startswith("service.instance.id=api-x-0-") for text in ids)
    assert not list(tmp_path.glob("api-*.json"))
