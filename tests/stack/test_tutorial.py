"""The tutorial, followed literally: commands copied from it, outputs compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.typedpage import TypedPage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.usefixtures("tools")
def test_the_tutorial_breaks_an_alert(repository: Path, tmp_path: Path) -> None:
    """Its second part: a copied rule's limit is raised, and the run says what never fired."""
    page = TypedPage(repository / "docs" / "tutorial.md", tmp_path)
    (tmp_path / "prometheus").symlink_to(repository / "prometheus")
    code, output = page.type(page.block("my-rules"))
    (shown,) = page.blocks("text")
    assert code == 1, output
    assert shown.strip() in output
