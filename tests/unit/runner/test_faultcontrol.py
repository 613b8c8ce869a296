"""The fault control of several replicas."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from testbed.errors import StackError
from testbed.faults.rig.control import FaultControl, bearer
from testbed_domain.tokens import ensure_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Replica(HTTPServer):
    """Keeps the faults that it was given, or refuses them."""

    given: Any = None
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Replica

    def do_PUT(self) -> None:
        assert self.path == "/faults"
        self.server.given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def replicas() -> Iterator[list[_Replica]]:
    """Two of them."""
    servers = [_Replica(("127.0.0.1", 0), _Handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield servers
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_all_replicas_get_the_faults(replicas: list[_Replica]) -> None:
    """And all are rid of them; one fault that ends leaves the others."""
    control = FaultControl([replica.url for replica in replicas])
    control.set("errors", {"ratio": 0.5})
    assert [replica.given for replica in replicas] == [{"errors": {"ratio": 0.5}}] * 2
    control.set("unloaded", {})
    control.clear("errors")
    assert [replica.given for replica in replicas] == [{"unloaded": {}}] * 2
    control.clear("unloaded")
    assert [replica.given for replica in replicas] == [{}] * 2


def test_a_replica_that_was_down_gets_them_later(
    replicas: list[_Replica], unused_port: int
) -> None:
    """One that is down hinders nobody; who comes up gets the faults of now, if there are any."""
    control = FaultControl([f"http://127.0.0.1:{unused_port}", replicas[0].url])
    control.set_again()
    assert replicas[0].given is None
    control.set("latency", {"seconds": 1.5})
    replicas[0].given = None
    control.set_again()
    assert replicas[0].given == {"latency": {"seconds": 1.5}}


def test_nobody_who_takes_them_is_an_error(replicas: list[_Replica], unused_port: int) -> None:
    """Where all are down, or one refuses."""
    with pytest.raises(StackError, match="fault control"):
        FaultControl([f"http://127.0.0.1:{unused_port}"]).set("errors", {"ratio": 0.5})
    replicas[1].status = 404
    with pytest.raises(StackError, match="404"):
        FaultControl([replica.url for replica in replicas]).set("errors", {"ratio": 0.5})


def test_the_token_is_read_when_a_fault_is_set(tmp_path: Path) -> None:
    """The API makes it at its start; one that can't be used is one line."""
    file = tmp_path / "token"
    assert bearer(None) == {}
    with pytest.raises(StackError, match="can't be read"):
        bearer(file)
    token = ensure_token(file)
    assert bearer(file) == {"Authorization": f"Bearer {token}"}
    file.chmod(0o644)
    with pytest.raises(StackError, match="chmod 600"):
        FaultControl(["http://127.0.0.1:1"], file).set("errors", {"ratio": 0.5})
