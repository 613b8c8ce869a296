"""What Locust's web UI lets a page or a form do.

Locust allows every origin to ask it, takes every option of its command line from the form that
starts a load, and answers an error with the caller's text as HTML. Here the callers are checked,
the form has the fields that the page shows and the service that the command line named, and an
error is plain text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from testbed_domain.callers import FORBIDDEN, READING, Caller, refusal

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from flask import Flask, Request, Response

NAMES_OPTION: Final = "--web-names"
# What else than reading there is to do; all other POSTs change options past our checks.
CHANGES: Final = ("/swarm", "/stop", "/stats/reset")
# Fields of Locust's own form that are taken, beside the options that it shows.
OWN_FIELDS: Final = frozenset(
    {"host", "user_count", "spawn_rate", "run_time", "profile", "user_classes", "shape_class"}
)
_NUMBER: Final = re.compile(r"(\d+(\.\d+)?)?", re.ASCII)
NUMBERS: Final = {
    "user_count": re.compile(r"\d*", re.ASCII),
    "spawn_rate": _NUMBER,
    "run_time": re.compile(r"\d*|(\d+h)?(\d+m)?(\d+s)?", re.ASCII),
}
ERRORS: Final = 400
# Longest body, in bytes: no form of the web UI has a tenth of that.
MAX_BODY: Final = 64 * 1024
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def install(app: Flask, names: Collection[str]) -> None:
    """Put the checks before and behind every page of the web UI.

    Args:
        app: Locust's.
        names: host names by which it may be asked; see :mod:`testbed_domain.callers`.
    """
    from flask import make_response, request  # noqa: PLC0415 - only where there is a web UI

    def before() -> Response | None:
        found = refusal(_caller(request), names, NAMES_OPTION)
        if found is not None:
            return make_response(found.detail, found.status)
        if request.method not in READING and not request.path.endswith(CHANGES):
            return make_response("This is not a change that the web UI offers.", FORBIDDEN)
        return None

    def after(response: Response) -> Response:
        if response.status_code >= ERRORS:
            response.mimetype = "text/plain"
        for name in [name for name, _ in response.headers if name.startswith("Access-Control-")]:
            response.headers.remove(name)
        response.headers.update(HEADERS)
        return response

    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(before)
    # First in the list runs last: what Locust itself adds is there by then.
    app.after_request_funcs.setdefault(None, []).insert(0, after)


def check_form(form: Mapping[str, str], shown: Iterable[str], host: str) -> None:
    """Check which fields a form has, and that it names the service of the command line.

    Args:
        form: fields of the form that starts a load.
        shown: options that the web UI shows.
        host: URL of the service, as the command line named it.

    Raises:
        LoadError: another field or another service; one line.
    """
    allowed = OWN_FIELDS | set(shown)
    if unknown := sorted(set(form) - allowed):
        raise LoadError(f"the form has fields that can't be set here: {', '.join(unknown)}")
    for name, pattern in NUMBERS.items():
        if not pattern.fullmatch(form.get(name, "")):  # Locust would refuse it half started
            raise LoadError(f"{name} must be a number, not {form[name]!r}")
    if host and form.get("host", host).rstrip("/") != host.rstrip("/"):
        raise LoadError(
            f"host must stay {host}, which --host named: start another Locust for another service"
        )


def _caller(request: Request) -> Caller:
    headers = request.headers
    return Caller(
        request.method,
        tuple(headers.getlist("Host")),
        tuple(headers.getlist("Origin")),
        headers.get("Sec-Fetch-Site", ""),
        headers.get("Sec-Fetch-Mode", ""),
    )
