"""Toxiproxy: one process with a proxy for each link that the scenario disturbs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from testbed_domain.files import write_atomic

from testbed.errors import UsageError
from testbed.stack.components import ProgramComponent
from testbed.stack.links import CONTROL, LINKS, listener
from testbed.stack.ports import HOST
from testbed.stack.probes import get_ok

if TYPE_CHECKING:
    from testbed.stack.components import Component
    from testbed.stack.context import StackContext


def _target(context: StackContext) -> str:
    """Host and port of the system under test."""
    parts = urlsplit(context.target.load_url(context))
    if parts.scheme != "http":
        raise UsageError(
            f"the network to {context.target.name} can't be disturbed: only plain HTTP can go "
            f"through a proxy, and it is asked by {parts.scheme}"
        )
    return parts.netloc if parts.port else f"{parts.netloc}:80"


def toxiproxy(context: StackContext) -> Component:
    """The component; writes what it reads when it is started."""
    proxies = [
        {
            "name": listener(link),
            "listen": context.endpoints[listener(link)],
            "upstream": context.endpoints.get(address) or _target(context),
            "enabled": True,
        }
        for link, address in LINKS.items()
        if listener(link) in context.endpoints
    ]
    file = context.layout.config / "toxiproxy.json"
    write_atomic(file, json.dumps(proxies, indent=2) + "\n")
    return ProgramComponent(
        "toxiproxy",
        lambda c: [
            *(str(c.tools.path("toxiproxy-server")), "-host", HOST),
            *("-port", c.port(CONTROL), "-config", str(file)),
        ],
        get_ok(CONTROL, "/version"),
    )
