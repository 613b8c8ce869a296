"""What a stranger may show in order to be read as YAML."""

from __future__ import annotations

from typing import Final

INJECTED: Final = "environment: {LD_PRELOAD: /tmp/evil.so}"
BREAKS: Final = (
    "\n",
    "\r",
    "\u2028",
    "\u2029",
    "\x85",
    "  # ",
    '"',
    "\ud800",
    "\x7f",
    "\U0001f600",
)
