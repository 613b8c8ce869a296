"""The drift job's own ``/metrics``, for who scrapes instead of taking OTLP."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app

from testbed_drift.settings import ENV_PREFIX, DriftSettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

CLIENT_SECONDS: Final = 5.0


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS  # one request at a time: a silent client must not hold up the others

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base's
        """Write nothing for each scrape."""


@contextlib.contextmanager
def serving(registry: CollectorRegistry, host: str, port: int | None) -> Iterator[None]:
    """Show the metrics of ``registry`` meanwhile, one request at a time.

    Args:
        registry: what to show; its collection must not run twice at a time.
        host: address to listen on.
        port: port to listen on; None shows nothing.

    Raises:
        DriftSettingsError: the address can't be used.
    """
    if port is None:
        yield
        return
    try:
        server = make_server(host, port, make_wsgi_app(registry), handler_class=_Handler)
    except OSError as error:
        raise DriftSettingsError(
            f"{ENV_PREFIX}METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics-page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
