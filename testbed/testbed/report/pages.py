"""What all pages share: templates that escape, the style, and a figure with its scripts.

A page is one file that needs nothing but a browser. Its policy names its scripts by their hashes.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from testbed_domain.scripthashes import script_hash

from testbed.templates import html_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import plotly.graph_objects as go


def render(
    name: str, context: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """A page from its template; everything in the context is escaped, but for markup.

    Args:
        name: of the template.
        context: its variables.
        filters: what it calls on them.
    """
    environment = html_environment("testbed.report")
    environment.filters |= dict(filters or {})
    return environment.get_template(name).render(style=_file("report.css"), **context)


def figure_context(figure: go.Figure) -> dict[str, Any]:
    """A figure for ``figure.html.j2``: its data, Plotly and the script that draws it."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - a page without a figure needs none

    plotly, own = Markup(get_plotlyjs()), _file("report.js")  # noqa: S704 - a file of Plotly's package
    return {
        "plotly": plotly,
        "script": own,
        "script_hashes": [Markup(script_hash(text)) for text in (plotly, own)],  # noqa: S704 - a hash
        "figure": _json_block(figure.to_json()),
    }


def _file(name: str) -> Markup:
    text = (files("testbed.report") / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def _json_block(text: str) -> Markup:
    """JSON that can stand in a script element: nothing in it can end that element."""
    safe = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(safe)  # noqa: S704 - the line above
