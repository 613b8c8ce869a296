"""Evidently's widgets as one page, in which no text of a row can become markup or script.

Evidently's own template writes its data into a script element as ``json.dumps`` leaves it: a
category ``</script><script>…`` ends that element and begins another one, which runs in the browser
of whoever opens the report. Here the data is escaped, and the page's policy names each of its
scripts by its hash, so that no other one runs, whatever Evidently's figures do with a text.
"""

from __future__ import annotations

import html
import json
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.scripthashes import script_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

# Evidently's template declares the page's data, then its figures on demand, before any text of it.
DATA: Final = (r"\s*<script>\s*var metric_\w+ = ", r";\s*var additional_graphs_metric_\w+ = ")
ROOT: Final = re.compile(r'<div id="root_metric_\w+">\s*</div>')
LIBRARY: Final = "<!--library-->"
# The only characters by which JSON could end a script element or begin a comment in it.
UNSAFE: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page(widgets: Sequence[Any], title: str = "Report", top: str = "") -> str:
    """Evidently's widgets as one page of about 4 MB, which works offline.

    Args:
        widgets: Evidently's, with any texts.
        title: of the page.
        top: HTML to stand above them, in which they go in the place of :data:`LIBRARY`.

    Raises:
        ValueError: Evidently's template is not the one that this was written for.
    """
    from testbed_drift.rendering.library import render_widgets  # noqa: PLC0415 - takes seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = escaped(str(render_widgets(list(widgets))))
    text = text.replace("<head>", f"<head>\n<title>{html.escape(title)}</title>", 1)
    if top:
        root = ROOT.search(text)
        if root is None:
            raise ValueError("Evidently's template has no place for its figures")
        inside = top.replace(LIBRARY, root[0], 1)
        text = text[: root.start()] + inside + text[root.end() :]
    # A page that begins with white space is in quirks mode before its doctype is read.
    return text.lstrip().replace("<head>", f"<head>\n{_policy(text)}", 1)


def snapshot_widgets(snapshot: Any) -> list[Any]:  # noqa: ANN401 - Evidently is untyped
    """Evidently's figures of its result."""
    results = snapshot.metric_results.values()
    return [widget for result in results for widget in result.get_widgets()]


def escaped(text: str) -> str:
    """A page of Evidently's template with its data so written that nothing in it ends the script.

    Where a value ends is asked of a JSON decoder, so no text in it can mislead.

    Raises:
        ValueError: the data does not stand in it as it should.
    """
    pieces: list[str] = []
    written = place = 0
    for number, declaration in enumerate(DATA):
        pattern = re.compile(declaration)
        found = pattern.match(text, place) if number else pattern.search(text)
        if found is None:
            raise ValueError("Evidently's template has no single place for the data of a report")
        _, place = json.JSONDecoder().raw_decode(text, found.end())
        pieces += [text[written : found.end()], json_in_script(text[found.end() : place])]
        written = place
    return "".join([*pieces, text[written:]])


def json_in_script(text: str) -> str:
    """JSON that means the same and can stand in a script element: nothing in it can end that."""
    return text.translate(UNSAFE)


def _policy(text: str) -> str:
    rules = (
        "default-src 'none'",
        f"script-src {script_hashes(text)}",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
