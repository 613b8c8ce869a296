"""``reference add|list|show|remove``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from testbed_drift.cli.bundles import table_options, taking
from testbed_drift.cli.ending import EXIT_NO_ACTION, ends, write
from testbed_drift.cli.surroundings import store_of
from testbed_drift.tables.options import READING, ROLES, TableOptions

app = typer.Typer(
    help="Keep reference tables by name and version, with their thresholds.", no_args_is_help=True
)
StoreOption = Annotated[
    Path | None, typer.Option(help="Folder of stored references; default: .testbed/references.")
]


@app.command()
@ends
@taking(tables=table_options("reference_url", "reference_query", *ROLES, *READING, "store"))
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits, - and _.")],
    file: Annotated[
        str | None, typer.Argument(help="The table; or give a URL and a query.")
    ] = None,
    *,
    tables: TableOptions,
) -> int:
    """Store a table as the next version of a name: its rows, the kinds of its columns, its hash.

    Examples:

      testbed drift reference add january january.parquet --target churn --prediction predicted

      testbed drift calibrate --reference january
    """
    from testbed_drift.tables import opening

    options = replace(tables, reference=file, store=store_of(context, tables.store))
    source = opening.reference_source(options)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stored, new = opening.store_of(options).add(name, source, opening.wanted(options), created)
    columns = ", ".join(f"{one.name} ({one.kind})" for one in stored.schema.columns)
    write(
        f"{'stored as' if new else 'is stored already as'} {stored.title}: {stored.rows} rows; "
        f"{columns}"
    )
    if stored.schema.task_line:
        write(stored.schema.task_line)
    for column, reason in stored.schema.left_out.items():
        write(f"column {column} is left out: {reason}")
    return EXIT_NO_ACTION


@app.command("list")
@ends
def list_stored(context: typer.Context, *, store: StoreOption = None) -> int:
    """List every version of every name."""
    from testbed_drift.tables.store import ReferenceStore

    for stored in ReferenceStore(store_of(context, store)).names():
        calibrated = "calibrated" if stored.calibration.exists() else "not calibrated"
        write(
            f"{stored.title}  {stored.rows} rows  {len(stored.schema.columns)} columns  "
            f"{calibrated}  {stored.created}  "
            f"{stored.source.get('path') or stored.source.get('url')}"
        )
    return EXIT_NO_ACTION


@app.command()
@ends
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME for the latest version, or NAME@VERSION.")],
    *,
    store: StoreOption = None,
) -> int:
    """Print what is stored of a reference as JSON: where it came from, its columns, its hash."""
    from testbed_drift.tables.store import ReferenceStore

    found = ReferenceStore(store_of(context, store)).find(name)
    write(json.dumps(found.manifest(), indent=1))
    return EXIT_NO_ACTION


@app.command()
@ends
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME for all versions, or NAME@VERSION.")],
    *,
    store: StoreOption = None,
) -> int:
    """Forget a reference, or one version of it."""
    from testbed_drift.tables.store import ReferenceStore

    write(f"removed {', '.join(ReferenceStore(store_of(context, store)).remove(name))}")
    return EXIT_NO_ACTION
