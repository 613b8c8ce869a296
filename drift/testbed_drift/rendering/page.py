"""Evidently's widgets as one page, in which no text of a row can become markup or script.

Evidently's own template writes its data into a script element as ``json.dumps`` leaves it: a
category ``</script><script>…`` ends that element and begins another one, which runs in the browser
of whoever opens the report. Here the data is escaped, and the page's policy names each of its
scripts by its hash, so that no other one runs, whatever Evidently's figures do with a text.
"""

from __future__ import annotations

import json
import uuid
import warnings
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.scripthashes import script_hashes

from testbed_drift.rendering.library import (
    DashboardInfo,
    NumpyEncoder,
    TemplateParams,
    dashboard_info_to_json,
    file_html_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What Evidently's template writes where it is not to embed the data.
NO_DATA: Final = "<!-- no embedded data -->"
# The only characters by which JSON could end a script element or begin a comment in it.
UNSAFE: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page(widgets: Sequence[Any]) -> str:
    """Evidently's widgets as one page of about 4 MB, which works offline.

    Args:
        widgets: Evidently's, with any texts.

    Raises:
        ValueError: Evidently's template is not the one that this was written for.
    """
    name = f"metric_{uuid.uuid4().hex}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = DashboardInfo(name="Report", widgets=list(widgets))
        graphs = dict(_details(widgets))
        text = str(file_html_template(TemplateParams(name, info, graphs, embed_data=False)))
        data = (
            f"var {name} = {json_in_script(dashboard_info_to_json(info))};\n"
            f"var additional_graphs_{name} = "
            f"{json_in_script(json.dumps(graphs, cls=NumpyEncoder))};"
        )
    if text.count(NO_DATA) != 1:
        raise ValueError("Evidently's template has no single place for the data of a report")
    text = text.replace(NO_DATA, f"<script>{data}</script>")
    # A page that begins with white space is in quirks mode before its doctype is read.
    return text.lstrip().replace("<head>", f"<head>\n{_policy(text)}", 1)


def json_in_script(text: str) -> str:
    """JSON that means the same and can stand in a script element: nothing in it can end that."""
    return text.translate(UNSAFE)


def _details(widgets: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """What a figure shows on demand, by its id."""
    for widget in widgets:
        for graph in widget.get_additional_graphs():
            info = getattr(graph, "params", graph)
            yield str(graph.id), info if isinstance(info, dict) else info.dict()


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
