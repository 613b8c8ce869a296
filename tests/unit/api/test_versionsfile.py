"""The kept roles of versions: what can't be read counts for nothing, and is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed_api.serving.versionsfile import DAMAGED_SUFFIX, VersionRoles, VersionsFile

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.mark.parametrize("content", ["", "{", "[]", "\0", '{"champion": "x"}', "[" * 100_000])
def test_file_that_is_damaged_is_copied_and_shown(
    small_artefact: Artefact, tmp_path: Path, content: str
) -> None:
    """The settings count; the next change may replace the file, but not its copy."""
    path = tmp_path / "versions.json"
    path.write_text(content)
    file = VersionsFile(path, VersionRoles(small_artefact, None, None, 0.0, shadow=False))
    assert file.read() is file.configured
    (problem,) = file.problems
    assert f"{path} is left aside: " in problem
    assert "\n" not in problem
    assert path.with_name(path.name + DAMAGED_SUFFIX).read_text() == content
