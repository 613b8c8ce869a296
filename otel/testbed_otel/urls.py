"""What is an address of an HTTP service, for every option that takes one. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_http_url(text: str) -> bool:
    """Whether a text is an ``http`` or ``https`` URL with a host and, if any, a possible port."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets and ports
        return False
