"""What both clients share: one HTTP connection pool, short timeouts, one-line errors."""

from __future__ import annotations

from typing import Any, Self

import httpx
from testbed_domain.jsonlines import parse_line

from testbed.errors import StackError

TIMEOUT = 10.0


class Client:
    """A JSON API over HTTP; also a context manager that closes its connections.

    Args:
        base_url: address of the program, without a trailing path.
        timeout: seconds for connecting and for each read.
        transport: replaces the network in tests.
    """

    name = "the server"
    ready_path = "/-/ready"

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        # trust_env=False: a proxy of the environment must not sit between two loopback ports.
        self._http = httpx.Client(
            base_url=self.base_url, timeout=timeout, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether the program says that it serves; False also when nothing answers."""
        try:
            return self._http.get(self.ready_path).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _json(self, method: str, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Ask and decode.

        Raises:
            StackError: no answer, an error answer or no JSON; one line that names the server.
        """
        form = {"params" if method == "GET" else "data": parameters}
        try:
            response = self._http.request(method, path, **form)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise StackError(f"{self.name} at {self.base_url} does not answer: {what}") from error
        try:
            body = parse_line(response.content)
        except ValueError as error:
            raise StackError(
                f"{self.name} at {self.base_url}{path} answered {response.status_code} without JSON"
            ) from error
        if response.is_error:
            reason = body.get("error", body) if isinstance(body, dict) else body
            raise StackError(
                f"{self.name} at {self.base_url}{path} answered {response.status_code}: "
                + " ".join(str(reason).split())
            )
        return body
