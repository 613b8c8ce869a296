"""The API's management ports: which version answers, and another one in its place."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.errors import DomainError
from testbed_domain.tokens import TokenError, read_token
from testbed_otel.masking import mask
from testbed_otel.urls import is_http_url

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT: Final = 60.0  # seconds; loading a model takes some
GLANCE: Final = 5.0  # seconds for a look at the versions


class ManagementError(DomainError):
    """The API refused, or did not answer. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Management:
    """Every replica of one API; what changes, changes in all of them or in none.

    Attributes:
        urls: base URL of each management port.
        token_file: file of the token that changes need; None sends none.
    """

    urls: tuple[str, ...]
    token_file: Path | None = None

    def champion(self) -> str | None:
        """Version that answers now; None where no replica says so."""
        for url in self.urls:
            try:
                return _roles(_ask(url, "GET", "/models", timeout=GLANCE)).get("champion")
            except ManagementError:
                continue
        return None

    def challenge(self, artefact: Path) -> None:
        """Load a version as challenger without traffic.

        Raises:
            ManagementError: a replica has another challenger, which is not ours to replace, or
                refuses this one; none keeps it then.
        """
        for url in self.urls:
            roles = _roles(_ask(url, "GET", "/models"))
            if "challenger" in roles:
                raise ManagementError(
                    f"{mask(url)} has the challenger {roles['challenger']} already: "
                    "withdraw it first"
                )
        body = {"artefact": str(artefact.resolve()), "split": 0.0}
        self._each("PUT", "/models/challenger", ("DELETE", "/models/challenger"), body)

    def withdraw(self) -> None:
        """Take the challenger away.

        Raises:
            ManagementError: a replica did not.
        """
        for url in self.urls:
            self._change(url, "DELETE", "/models/challenger")

    def promote(self) -> None:
        """Make the challenger the champion.

        Raises:
            ManagementError: a replica did not; the others are back at the old champion then.
        """
        self._each("POST", "/models/promote", ("POST", "/models/rollback"))

    def _each(
        self, method: str, path: str, back: tuple[str, str], body: dict[str, Any] | None = None
    ) -> None:
        done: list[str] = []
        try:
            for url in self.urls:
                self._change(url, method, path, body)
                done.append(url)
        except ManagementError:
            for url in done:
                self._change(url, *back)
            raise

    def _change(self, url: str, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        # Read anew each time: a service that starts again may have made another token.
        try:
            token = None if self.token_file is None else read_token(self.token_file)
        except TokenError as error:
            raise ManagementError(str(error)) from None
        _ask(url, method, path, body, token=token)


def _roles(described: dict[str, Any]) -> dict[str, str]:
    return {model["role"]: model["version"] for model in described["versions"]}


def _ask(
    url: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    token: str | None = None,
    timeout: float = TIMEOUT,
) -> dict[str, Any]:
    if not is_http_url(url):
        raise ManagementError(
            f"{mask(url)!r} is not the address of a management port: write http://HOST:PORT"
        )
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url.rstrip("/") + path, data, headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:  # noqa: S310 - as above
            found: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        text = error.read(1000).decode(errors="replace")
        raise ManagementError(f"{method} {mask(url)}{path}: {error.code} {text.strip()}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise ManagementError(f"{method} {mask(url)}{path}: {mask(error)}") from error
    return found
