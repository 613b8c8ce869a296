"""The documentation as a site: its links lead to what they lead to in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def pages(tmp_path: Path, repository: Path) -> Path:
    """The folder of a project whose documentation is three pages."""
    docs = tmp_path / "docs"
    (docs / "runbooks").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "scenarios").mkdir()
    shutil.copy(repository / "mkdocs.yml", tmp_path)
    shutil.copy(repository / "tools" / "docs_hooks.py", tmp_path / "tools")
    (tmp_path / "scenarios" / "one.yaml").write_text("title: One\n")
    (docs / "index.md").write_text("# Home\n\n[All](runbooks/), [One](../scenarios/one.yaml)\n")
    (docs / "runbooks" / "Slow.md").write_text(
        "# It is slow\n\n## What `to do`?\n\n[Here](#what-to-do), [back](../index.md), "
        "[One](../../scenarios/one.yaml)\n"
    )
    return docs


def build(docs: Path) -> tuple[int, str]:
    """Build the site beside the folder, strictly; exit code and output."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict"],
        cwd=docs.parent,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_folders_and_files_beside_the_documentation_are_there(pages: Path) -> None:
    """A folder becomes a list of its pages, a file a copy of it."""
    code, output = build(pages)
    assert code == 0, output
    site = pages.parent / ".site"
    assert (site / "source" / "scenarios" / "one.yaml").read_text() == "title: One\n"
    home = (site / "index.html").read_text()
    assert 'href="runbooks/index.html"' in home
    assert 'href="source/scenarios/one.yaml"' in home
    assert 'href="../source/scenarios/one.yaml"' in (site / "runbooks" / "Slow.html").read_text()
    listed = (site / "runbooks" / "index.html").read_text()
    assert '<a href="Slow.html">It is slow</a>' in listed


@pytest.mark.parametrize(
    "link", ["runbooks/Fast.md", "runbooks/Slow.md#cause", "../scenarios/two.yaml", "nowhere/"]
)
def test_a_link_that_leads_nowhere_fails(pages: Path, link: str) -> None:
    """The page and the link are named."""
    (pages / "broken.md").write_text(f"# Broken\n\n[x]({link})\n")
    code, output = build(pages)
    assert code != 0
    assert "broken.md" in output
    assert link.rstrip("/").rsplit("/", 1)[-1] in output
