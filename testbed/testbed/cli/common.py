"""Options that several commands have."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer
from testbed_domain.features import Task
from testbed_domain.tables.reading import ReadOptions
from testbed_domain.use_cases import ANY, USE_CASES
from testbed_drift.cli.bundles import Bundle

from testbed.cli import completion
from testbed.errors import UsageError
from testbed.owndata import OwnData

USE_CASE_HELP = f"{', '.join(USE_CASES)}, or {ANY}: your own table, with --data and --target."
UseCaseOption = Annotated[
    str | None,
    typer.Option(
        "--use-case",
        help=f"{USE_CASE_HELP} Default: the scenario's.",
        autocompletion=completion.use_cases,
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of traffic, drift, labels.")]
ReplicasOption = Annotated[
    int,
    typer.Option("--replicas", min=1, max=64, help="Processes of the API, each with its metrics."),
]


def own_data(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="A table (CSV, Parquet, JSON …) with the use case's columns and its target.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help=f"Column to predict, for --use-case {ANY}; schema is inferred."
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            help=f"What is learnt, for --use-case {ANY}; default: a regression where the target "
            "holds more than 20 different numbers.",
        ),
    ] = None,
    sep: Annotated[
        str | None,
        typer.Option("--sep", help="Character between CSV columns, or tab; default: found out."),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option("--decimal", help="Decimal mark of numbers in text; default: found out."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of CSV and JSON files; default: found out.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--as", help="COLUMN=KIND: take it as number, date, boolean or category, as codes are."
        ),
    ] = None,
) -> OwnData:
    """The table of the user's that the options of a command name."""
    return OwnData(data, target, task, ReadOptions.parse(sep, decimal, encoding, kinds))


OWN_DATA = Bundle.of(own_data)
"""For :func:`testbed_drift.cli.bundles.taking`: options of every command that trains a model."""


def parse_address(text: str, option: str) -> tuple[str, int]:
    """Host and port of an address that was given.

    Raises:
        UsageError: it is not one; names the option.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - ports
        raise UsageError(f"{option}: {text!r} is not an address and a port, as 10.0.0.1:5557")
    return host.strip("[]"), int(port)


def listening_address(text: str, option: str) -> tuple[str, int]:
    """As :func:`parse_address`, of this machine and free now.

    Raises:
        UsageError: it is not an address, or nothing can listen there; names the option.
    """
    host, port = parse_address(text, option)
    try:
        family, *_, place = socket.getaddrinfo("0.0.0.0" if host == "*" else host, port)[0]  # noqa: S104 - as asked for
        socket.create_server(place[:2], family=family).close()
    except (OSError, UnicodeError) as error:  # the latter of a name that no host can have
        why = error.strerror if isinstance(error, OSError) else "no host can have that name"
        raise UsageError(f"{option}: {text} can't be listened on: {why}") from None
    return host, port


def management_token(home: Path) -> Path:
    """File of the token that changes on the management port of ``testbed serve`` need."""
    return (home / "management-token").resolve()
