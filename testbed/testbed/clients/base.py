"""What both clients share: one HTTP connection pool, short timeouts, one-line errors."""

from __future__ import annotations

import time
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
        largest: bytes of an answer; with it, a whole answer must come within ``timeout``, too.
    """

    name = "the server"
    ready_path = "/-/ready"

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        largest: int | None = None,
    ) -> None:
        self._timeout, self._largest = timeout, largest
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
            response = self._answer(method, path, form)
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

    def _answer(self, method: str, path: str, form: dict[str, dict[str, str]]) -> httpx.Response:
        if self._largest is None:
            return self._http.request(method, path, **form)  # type: ignore[arg-type]
        deadline, content = time.monotonic() + self._timeout, bytearray()
        with self._http.stream(method, path, **form) as reply:  # type: ignore[arg-type]
            for part in reply.iter_bytes():
                content += part
                if len(content) > self._largest:
                    raise httpx.ReadError(f"the answer has over {self._largest:,} bytes")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"no whole answer within {self._timeout:g} s")
        return httpx.Response(reply.status_code, content=bytes(content), request=reply.request)
