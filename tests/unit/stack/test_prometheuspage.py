"""The page of a Prometheus without its web UI."""

from __future__ import annotations

import re

from testbed.stack.prometheuspage import IN_CONSOLE, page_html


def test_it_leads_to_the_console_where_there_is_one() -> None:
    """By links and by a script; without a console, it says what answers."""
    with_console, without = page_html("127.0.0.1:9070"), page_html(None)
    for path in IN_CONSOLE:
        assert f'href="http://127.0.0.1:9070/{path}"' in with_console
    assert 'location.replace("http://127.0.0.1:9070"' in with_console
    assert "console" not in without.lower()
    assert "<script" not in without
    for page in (with_console, without):
        assert 'href="api/v1/status/config"' in page
        assert not re.search(r"[A-Z]+_PLACEHOLDER", page)
