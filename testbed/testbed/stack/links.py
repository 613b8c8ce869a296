"""Links between components, of which a scenario can disturb some: these go through a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from testbed.componentnames import API, DATABASE, LOAD, TARGET
from testbed.stack.addresses import COLLECTOR_HTTP, PROMETHEUS, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Link = tuple[str, str]
"""Who asks, and who is asked."""

LINKS: Final[Mapping[Link, str]] = {
    (LOAD, API): PUBLIC,
    (LOAD, TARGET): "",  # where it is, the target knows
    (API, DATABASE): f"{DATABASE}:5432",
    (API, "collector"): COLLECTOR_HTTP,
    ("collector", "prometheus"): PROMETHEUS,
    ("prometheus", "alertmanager"): "alertmanager:9093",
    ("alertmanager", "receiver"): "receiver:9080",
}
"""Links that can be disturbed, and the Compose address that is asked over each."""

CONTROL: Final = "toxiproxy:8474"
"""Address at which the proxies are controlled."""


def addresses(links: Collection[Link]) -> dict[str, int]:
    """Addresses of the proxies of some links and of their control, with 0 for any port."""
    if not links:
        return {}
    return {CONTROL: 0, **dict.fromkeys(map(listener, links), 0)}


def listener(link: Link) -> str:
    """Name of the address at which the proxy of a link listens."""
    return f"{link[0]}-{link[1]}:0"


def to_target(url: str, endpoints: Mapping[str, str]) -> str:
    """Where the load asks the system under test: through a proxy, where the run has one there."""
    proxy = endpoints.get(listener((LOAD, TARGET)))
    return url if proxy is None else urlsplit(url)._replace(netloc=proxy).geturl()


def ways(source: str, endpoints: Mapping[str, str]) -> dict[str, str]:
    """The addresses as a component sees them: through the proxies of its links."""
    found = dict(endpoints)
    for link, address in LINKS.items():
        if address and link[0] == source and listener(link) in endpoints:
            found[address] = endpoints[listener(link)]
    return found
