"""Tables for a terminal of any width: columns while their words fit, else a block for each row."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

GAP: Final = 2
LONG: Final = 24
"""Characters from which a cell is a sentence, which nobody reads in a column of a few words."""
NARROW: Final = 18
INDENT: Final = 2


class WordTable:
    """A table that never breaks a word.

    Args:
        titles: of the columns; one with ``>`` before it is aligned to the right.
        header_style: of the titles.
        header: whether titles are shown above columns.
    """

    def __init__(self, *titles: str, header_style: str = "bold", header: bool = True) -> None:
        self._right = [title.startswith(">") for title in titles]
        self._titles = [title.removeprefix(">") for title in titles]
        self._header_style = header_style
        self._header = header
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add one row, a cell for each column; markup in it is text."""
        self._rows.append([Text(each) if isinstance(each, str) else each for each in cells])

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it for the width that there is."""
        widths = column_widths(
            [self._column(number) for number in range(len(self._titles))], options.max_width
        )
        if widths is None:
            yield from self._blocks(options.max_width)
        else:
            yield self._table(widths)

    def _column(self, number: int) -> list[str]:
        title = [self._titles[number]] if self._header else []
        return title + [row[number].plain for row in self._rows]

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(
            box=None,
            pad_edge=False,
            padding=(0, GAP, 0, 0),
            collapse_padding=True,
            header_style=self._header_style,
            show_header=self._header,
        )
        for title, right, width in zip(self._titles, self._right, widths, strict=True):
            table.add_column(
                title, justify="right" if right else "left", width=width, overflow="fold"
            )
        for row in self._rows:
            table.add_row(*row)
        return table

    def _blocks(self, width: int) -> Iterator[Text]:
        """Each row by its first cell, and another cell with its title on every line below.

        A first column without a title is a mark, which stands before the second cell.
        """
        named = self._titles if self._header else [""] * len(self._titles)
        heads = 1 + (self._header and not named[0])
        indent = INDENT + max(map(len, named[heads:]), default=0)
        indent += GAP if indent > INDENT else 0
        for row in self._rows:
            yield Text(" " * GAP).join(row[:heads])
            for title, cell in zip(named[heads:], row[heads:], strict=True):
                head = f"{'':{INDENT}}{title}"
                for line in _wrapped(cell, width - indent):
                    yield Text(f"{head:{indent}}") + line
                    head = ""


def _wrapped(cell: Text, width: int) -> Iterator[Text]:
    for line in cell.plain.splitlines():
        for part in wrap(line, max(width, 1), break_long_words=False, break_on_hyphens=False):
            yield Text(part, cell.style)


def column_widths(columns: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Characters for each column, in which no word is broken; None where that can't be.

    Args:
        columns: the cells of each, the title among them.
        width: characters that there are.
    """
    least = [_longest(word for cell in each for word in cell.split()) for each in columns]
    most = [_longest(line for cell in each for line in cell.splitlines()) for each in columns]
    spare = width - GAP * (len(columns) - 1) - sum(least)
    if spare < 0:
        return None
    found = list(least)
    while spare and (growing := [n for n, each in enumerate(found) if each < most[n]]):
        found[min(growing, key=found.__getitem__)] += 1
        spare -= 1
    squeezed = any(most[n] > LONG and each < min(most[n], NARROW) for n, each in enumerate(found))
    return None if squeezed else found


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)
