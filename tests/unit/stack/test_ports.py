"""Choosing ports."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from testbed.stack.ports import (
    HOST,
    LOWEST,
    USUAL_EPHEMERAL,
    PortClaims,
    allocate,
    allocate_row,
    free_port,
    is_free,
)

from tests.support import ports as support


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    """Claims that end with the test."""
    made = PortClaims()
    yield made
    made.release()


def listener() -> socket.socket:
    """A server on a port of the kernel's choice."""
    server = socket.socket()
    server.bind((HOST, 0))
    server.listen(1)
    return server


def unused() -> int:
    """A port that nothing listens on, claims, or takes for a connection meanwhile."""
    drawn = PortClaims()
    port = free_port(0, drawn)
    drawn.release()
    return port


def test_usual_port_is_taken_when_free(claims: PortClaims) -> None:
    """The preferred port comes out and is promised."""
    port = unused()
    assert free_port(port, claims) == port


def test_used_port_is_replaced_by_one_outside_the_ephemeral_range(claims: PortClaims) -> None:
    """A port that a server holds is not chosen; the substitute is free."""
    with listener() as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        chosen = free_port(port, claims, random.Random(1))  # noqa: S311 - no secret
    assert chosen != port
    assert chosen >= LOWEST
    assert is_free(chosen)


def test_port_of_a_wildcard_server_counts_as_used() -> None:
    """A server on all addresses holds the loopback port too."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", 0))  # noqa: S104 - what is tested
        server.listen(1)
        assert not is_free(server.getsockname()[1])


def test_allocated_ports_differ(claims: PortClaims) -> None:
    """Two names with one usual port get two ports, and no preference gets one too."""
    port = unused()
    ports = allocate({"a": port, "b": port, "c": 0, "d": 0}, claims)
    assert ports["a"] == port
    assert len(set(ports.values())) == 4
    assert 0 not in ports.values()


def test_a_promised_port_is_not_chosen_again(claims: PortClaims) -> None:
    """Before its component listens, a port is taken for every other testbed; free again after."""
    port = unused()
    other = PortClaims()
    assert free_port(port, other) == port
    assert free_port(port, claims) != port
    other.release()
    assert free_port(port, claims) == port


def test_a_claim_ends_with_its_process(claims: PortClaims) -> None:
    """A testbed that was killed leaves no port behind."""
    port = unused()
    code = (
        "import os, signal; from testbed.stack.ports import PortClaims;"
        f"assert PortClaims().take({port}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert claims.take(port)


def test_a_row_of_ports_follows_the_first(claims: PortClaims) -> None:
    """Each of its ports is claimed."""
    row = allocate_row(["a", "b", "c"], 0, claims)
    first = row["a"]
    assert list(row.items()) == [("a", first), ("b", first + 1), ("c", first + 2)]
    assert not any(PortClaims().take(port) for port in row.values())
    claims.release()
    assert allocate_row(["a", "b", "c"], first, claims) == row


@pytest.mark.parametrize("how", ["claimed", "listening"])
def test_a_row_with_a_taken_port_is_passed_over(claims: PortClaims, how: str) -> None:
    """Nothing of it stays claimed."""
    first = allocate_row(["a", "b"], 0, claims)["a"]
    claims.release()
    others = PortClaims()
    with socket.socket() as server:
        if how == "claimed":
            assert others.take(first + 1)
        else:
            server.bind((HOST, first + 1))
            server.listen(1)
        assert allocate_row(["a", "b"], first, claims)["a"] != first
    assert others.take(first)
    others.release()


def test_ports_of_tests_are_claimed_and_no_connection_takes_them() -> None:
    """Two workers of pytest and their servers' own connections never meet on a port."""
    chosen = [support.free_port() for _ in range(20)]
    first = support.ports_in_a_row(3)
    chosen += range(first, first + 3)
    assert len(set(chosen)) == len(chosen)
    assert all(LOWEST <= port < USUAL_EPHEMERAL for port in chosen)
    assert not any(PortClaims().take(port) for port in chosen)
