"""API keys of a run whose scenario has the API demand them: one for the load, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.files import write_atomic

if TYPE_CHECKING:
    from testbed.layout import RunLayout

NAME: Final = "load"


def make_keys(layout: RunLayout) -> None:
    """Make the load's key and the file of keys that the API reads; their owner's alone."""
    from testbed_api.http.keys import digest, new_key  # noqa: PLC0415 - few runs have keys

    key = new_key()
    write_atomic(layout.load_key, f"{key}\n", mode=0o600)
    write_atomic(layout.api_keys, f"{NAME} {digest(key)}\n", mode=0o600)
