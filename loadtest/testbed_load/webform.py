"""How Locust's form looks: the testbed's own fields stand first and open.

Locust shows them below its own, folded; its numbers of users have no meaning beside a shape, which
sets them. The form is drawn in the browser, so a style does it, by the names of the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask, Response

STYLE: Final = """<style>
form .MuiAccordion-root:has([name="loadProfile"]) { order: -1; }
form .MuiAccordion-root:has([name="loadProfile"]) .MuiCollapse-root {
  height: auto !important; min-height: 0 !important; visibility: visible !important;
}
form .MuiAccordion-root:has([name="loadProfile"]) .MuiAccordionSummary-root { display: none; }
form .MuiAccordion-root:has([name="loadProfile"]) .MuiAccordionDetails-root { padding-top: 24px; }
form .MuiFormControl-root:has([name="userCount"]),
form .MuiFormControl-root:has([name="spawnRate"]) { display: none; }
</style>
"""
_END: Final = b"</head>"


def install(app: Flask) -> None:
    """Have the page of the web UI show the fields so.

    Args:
        app: Locust's.
    """

    def after(response: Response) -> Response:
        if response.mimetype == "text/html" and not response.direct_passthrough:
            response.set_data(response.get_data().replace(_END, STYLE.encode() + _END, 1))
        return response

    app.after_request(after)
    # Fields stand in the order of :mod:`testbed_load.arguments`, not in that of the alphabet.
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
