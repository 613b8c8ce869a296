"""Which requests a page of another site may have sent: by Host, Origin and Fetch metadata.

A browser sends requests to a port of this machine for any page that it shows. Such a page can't
choose the headers ``Host``, ``Origin`` and ``Sec-Fetch-*``, so they show it. Other programs send
no ``Origin`` and are not held up. Pure; :mod:`testbed_domain.callerguard` puts it before an
application.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection

READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FOREIGN: Final = frozenset({"cross-site", "same-site"})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
FORBIDDEN, MISDIRECTED = 403, 421


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of where it comes from.

    Attributes:
        method: of HTTP, in capitals.
        hosts: values of ``Host``; more than one is never right.
        origins: values of ``Origin``.
        site: value of ``Sec-Fetch-Site``; empty where there is none.
        mode: value of ``Sec-Fetch-Mode``, likewise.
    """

    method: str
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    site: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: of HTTP.
        detail: one sentence; holds nothing of the request.
    """

    status: int
    detail: str


def names_of(text: str) -> frozenset[str]:
    """Names of a setting, with commas between."""
    return frozenset(name.lower() for part in text.split(",") if (name := part.strip()))


def refusal(caller: Caller, names: Collection[str], setting: str) -> Refusal | None:
    """Why a request must not be served, or None.

    Args:
        caller: what it says of itself.
        names: host names, in small letters, by which the port may be asked; IP addresses and
            ``localhost`` always may. A site that points its own name at this machine (DNS
            rebinding) can use neither.
        setting: where a name is added; for the message.
    """
    if len(caller.hosts) > 1 or not all(_known(host, names) for host in caller.hosts):
        return Refusal(
            MISDIRECTED,
            "The Host header names neither an IP address nor localhost nor a configured name: "
            f"add the name to {setting}.",
        )
    own = {_address(f"http://{host}") for host in caller.hosts} | {
        _address(f"https://{host}") for host in caller.hosts
    }
    if not all(_address(origin) in own for origin in caller.origins):
        return Refusal(FORBIDDEN, "The request comes from a page of another site.")
    followed = caller.method in READING and caller.mode == "navigate"
    if caller.site in FOREIGN and not followed:  # a link to a page may be followed
        return Refusal(FORBIDDEN, "The request comes from a page of another site.")
    return None


def _known(host: str, names: Collection[str]) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is not a number
        name = (parts.hostname or "").removesuffix(".")
        if name == "localhost" or name in names:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _address(origin: str) -> tuple[str | None, int | None] | None:
    """Host and port of an origin; None where it has none, as ``null`` does."""
    try:
        parts = urlsplit(origin)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            return None
        return parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None
