"""``/docs``: Swagger UI from the API's own files, in which the model's texts can't become a script.

FastAPI writes the title, here the name of the model, into the page as it is.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from testbed_domain.scripthashes import script_hashes

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH: Final = "/docs"
STATIC: Final = "/static-offline-docs"


def add_docs(app: FastAPI) -> None:
    """Add the page to an application of fastapi-offline, which serves its files."""
    page = get_swagger_ui_html(
        openapi_url=str(app.openapi_url),
        title=html.escape(f"{app.title} - Swagger UI"),
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    text = bytes(page.body).decode()
    policy = (
        f"default-src 'self'; script-src 'self' {script_hashes(text)}; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'"
    )

    @app.get(PATH, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})
