"""Secrets in what is printed: one function for every message that may hold a URL.

Rather too much is hidden than a part of a password shown: where a URL's password itself holds ``/``
or ``@``, nobody can say where it ends, so all up to the last ``@`` is hidden. Pure.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

MASK: Final = "***"
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>\S+)")
_PARAMETER: Final = re.compile(r"(?P<before>[?&;])(?P<name>[^=&;?\s]+)=(?P<value>[^&\s'\"]*)")
# Parts of names that announce a secret, in a URL's query.
_SECRET_NAME: Final = re.compile(
    r"(?i)pass|pwd|secret|token|api[-_]?key|access[-_]?key|sslkey|credential|auth|sig(nature)?$|^key$"
)
# A word that announces a secret, and what follows it.
_ANNOUNCED: Final = re.compile(
    r"(?i)\b(authorization|x?-?api[-_]?key|password|passwd|token|secret)\b"
    r"(['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",;&]+"
)


def mask(text: object) -> str:
    """A text with every secret in it hidden.

    Args:
        text: a message, or a URL; anything else as ``str`` gives it.

    Returns:
        The text, with passwords in URLs, secrets in their queries, and what follows a word such as
        ``password=`` replaced by :data:`MASK`.
    """
    found = _URL.sub(_masked_url, str(text))
    return _ANNOUNCED.sub(rf"\1\2{MASK}", found)


def _masked_url(found: re.Match[str]) -> str:
    scheme, rest = found["scheme"], found["rest"]
    colon, at = rest.find(":"), rest.rfind("@")
    if 0 <= colon < at:
        rest = f"{rest[:colon]}:{MASK}{rest[at:]}"
    return f"{scheme}://{_PARAMETER.sub(_masked_parameter, rest)}"


def _masked_parameter(found: re.Match[str]) -> str:
    if not _SECRET_NAME.search(unquote(found["name"])):
        return found[0]
    return f"{found['before']}{found['name']}={MASK}"
