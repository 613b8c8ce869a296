"""Tables that break no word, at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text
from testbed.wordtable import WordTable, column_widths

LONG_NAME = "PrometheusErrorSendingAlertsToAnyAlertmanager"
SENTENCE = "Alertmanager is gone for a while, so that Prometheus can hand its alerts to nobody."


def _shown(width: int, table: WordTable) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, soft_wrap=True).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def _table() -> WordTable:
    table = WordTable("name", ">real time", "must fire", "what")
    table.add_row("alertmanager-outage", "48 s", LONG_NAME, SENTENCE)
    table.add_row("normal", "36 s", "", Text("Nothing [at all].", "green"))
    return table


@pytest.mark.parametrize("width", [60, 80, 100, 160, 300])
def test_no_word_is_broken(width: int) -> None:
    """Each word of each cell stands on one line, and no line is longer than the terminal."""
    lines = _shown(width, _table())
    shown = [word for line in lines for word in line.split()]
    for word in (*SENTENCE.split(), LONG_NAME, "alertmanager-outage", "[at", "all]."):
        assert word in shown
    assert max(map(len, lines)) <= width


def test_a_row_is_a_block_where_columns_do_not_fit() -> None:
    """Its first cell, then each other that is not empty, by its title."""
    assert _shown(60, _table())[-3:] == [
        "normal",
        "  real time  36 s",
        "  what       Nothing [at all].",
    ]


def test_a_mark_stands_before_what_it_marks() -> None:
    """A column without a title has no line of its own."""
    table = WordTable("", "what", "found")
    table.add_row("ok", "tools", f"/{'cache' * 9}")
    assert _shown(40, table) == ["ok  tools", f"  found  /{'cache' * 9}"]


def test_columns_share_what_is_left() -> None:
    """Those that want more get it, none less than its longest word."""
    assert column_widths([["a", "bb"], ["one two three"]], 40) == [2, 13]
    assert column_widths([["a", "bb"], ["one two three"]], 12) == [2, 8]
    assert column_widths([["abcdefgh"], ["abcdefgh"]], 17) is None
    assert column_widths([["x" * 30], ["word " * 20]], 45) is None
