"""Hooks of the documentation's site (mkdocs): links that work in the repository work there, too.

A link to a file beside ``docs/`` leads to a copy of it, and one to a folder to a list of its pages.
Everything else is mkdocs's own; built with ``--strict``, a link that leads nowhere fails.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")
HEADING: Final = re.compile(r"^# (.+)$", re.MULTILINE)
SOURCES: Final = "source"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what pages link to and mkdocs would not find.

    Args:
        files: those of ``docs/``.
        config: names the folder.
    """
    docs = Path(config.docs_dir)
    for page in files.documentation_pages():
        for link in LINK.findall(page.content_string):
            place = _place(page.src_uri, link)
            target = docs / place
            if target.is_dir():
                uri, content = f"{place}/index.md", "\n".join(_listed(target))
            elif place.startswith("..") and target.is_file():
                uri, content = _copy(place), target.read_text(encoding="utf-8")
            else:
                continue
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to what :func:`on_files` added.

    Args:
        markdown: the page's text.
        page: the page.
        config: names the folder.
        files: all files of the site.
    """
    del files

    def lead(match: re.Match[str]) -> str:
        place = _place(page.file.src_uri, match[0])
        if (Path(config.docs_dir) / place).is_dir():
            return f"{match[0].rstrip('/')}/index.md"
        if place.startswith(".."):
            return os.path.relpath(_copy(place), PurePosixPath(page.file.src_uri).parent)
        return match[0]

    return LINK.sub(lead, markdown)


def _place(page: str, link: str) -> str:
    """A link's target from the folder of the documentation."""
    return os.path.normpath(PurePosixPath(page).parent / link)


def _copy(place: str) -> str:
    return f"{SOURCES}/{place.removeprefix('../')}"


def _listed(folder: Path) -> Iterator[str]:
    yield f"# {folder.name.capitalize()}\n"
    for path in sorted(folder.glob("*.md")):
        heading = HEADING.search(path.read_text(encoding="utf-8"))
        yield f"- [{heading[1] if heading else path.stem}]({path.name})"
