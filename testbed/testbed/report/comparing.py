"""A comparison of two runs, for a terminal and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from testbed.report.pages import render
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbed.comparison import RunComparison


def comparison_table(found: RunComparison) -> RenderableType:
    """What changed, and whether that is worse."""
    parts: list[RenderableType] = [
        Text(f"{found.scenario}: {found.before}, then {found.after}"),
        *(Text(f"played with another {each}", style="yellow") for each in found.differences),
    ]
    if found.changes:
        table = WordTable("", "what", "name", "before", "after", header_style="dim")
        for row in found.changes:
            mark = Text("✗", "bold red") if row.regression else Text("·", "dim")
            table.add_row(mark, Text(row.kind), Text(row.name), Text(row.before), Text(row.after))
        parts.append(table)
    sign, style = ("✗", "bold red") if found.regressions else ("✓", "bold green")
    return Group(*parts, Text.assemble((f"{sign} ", style), found.text))


def comparison_page(found: RunComparison) -> str:
    """The same as one HTML file that needs nothing but a browser; all of it is escaped."""
    return render("comparison.html.j2", {"found": found})
