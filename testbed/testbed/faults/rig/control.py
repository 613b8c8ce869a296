"""Turns faults of the API on and off through the management port of each replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from testbed_domain.tokens import TokenError, read_token

from testbed.clients import loopback
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def bearer(token_file: Path | None) -> dict[str, str]:
    """The header that a change on a management port needs; none without a token.

    Raises:
        StackError: the token can't be read.
    """
    if token_file is None:
        return {}
    try:
        return {"Authorization": f"Bearer {read_token(token_file)}"}
    except TokenError as error:
        raise StackError(str(error)) from None


class FaultControl:
    """Client of ``/faults`` on the management ports.

    Args:
        urls: base URL of each replica's management port.
        token_file: file of the token that changes there need; None sends none.
    """

    def __init__(self, urls: Sequence[str], token_file: Path | None = None) -> None:
        self._token_file = token_file
        self._urls = [f"{url}/faults" for url in urls]
        self._body: dict[str, Mapping[str, object]] = {}
        self._first: set[str] = set()

    def set(self, key: str, values: Mapping[str, object], *, first: bool = False) -> None:
        """Turn one fault on, or change it; the others stay.

        Args:
            key: of the fault in the body of ``PUT /faults``.
            values: its fields.
            first: whether only the first replica has it.

        Raises:
            StackError: the API refused or did not answer.
        """
        self._body[key] = values
        if first:
            self._first.add(key)
        self._put()

    def clear(self, key: str) -> None:
        """Turn one fault off; the others stay.

        Raises:
            StackError: the API refused or did not answer.
        """
        self._body.pop(key, None)
        self._first.discard(key)
        self._put()

    def set_again(self) -> None:
        """Give the faults of now to replicas that came up after they were set.

        Raises:
            StackError: no replica answered, or one refused.
        """
        if self._body:
            self._put()

    def _put(self) -> None:
        down = []
        headers = bearer(self._token_file)
        try:
            for place, url in enumerate(self._urls):
                body = {k: v for k, v in self._body.items() if not place or k not in self._first}
                try:
                    loopback.request(
                        "PUT", url, json=body, headers=headers, timeout=5.0
                    ).raise_for_status()
                except httpx.TransportError as error:
                    # A replica that is down gets them once it is back.
                    down.append(error)
        except httpx.HTTPError as error:
            raise StackError(f"the fault control of the API failed: {error}") from error
        if len(down) == len(self._urls):
            raise StackError(f"the fault control of the API failed: {down[0]}") from down[0]
