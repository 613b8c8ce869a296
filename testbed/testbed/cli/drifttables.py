"""Options of ``testbed drift`` that are about tables, and ``testbed drift reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from testbed_domain.features import Task

from testbed.cli.common import DecimalOption, EncodingOption, KindsOption, SepOption
from testbed.cli.driftjob import become
from testbed.settings import load_settings

ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", help="File, or name of a kept reference, to compare with."),
]
ReferenceUrlOption = Annotated[
    str | None,
    typer.Option("--reference-url", help="Database of the reference, as a SQLAlchemy URL."),
]
ReferenceQueryOption = Annotated[
    str | None, typer.Option("--reference-query", help="SELECT or table that gives the reference.")
]
CurrentOption = Annotated[str | None, typer.Option("--current", help="File to evaluate.")]
CurrentUrlOption = Annotated[
    str | None, typer.Option("--current-url", help="Database of what to evaluate.")
]
CurrentQueryOption = Annotated[
    str | None, typer.Option("--current-query", help="SELECT or table that gives what to evaluate.")
]
TargetOption = Annotated[str | None, typer.Option("--target", help="Column of the labels.")]
PredictionOption = Annotated[
    str | None, typer.Option("--prediction", help="Column of the predicted classes or numbers.")
]
HeldTaskOption = Annotated[
    Task | None,
    typer.Option(
        "--task",
        help="What the target holds; default: a regression where it holds more than 20 different "
        "numbers.",
    ),
]
ProbabilityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--probability",
        help="Column of the positive class's probability; or CLASS=COLUMN for each class.",
    ),
]
PositiveOption = Annotated[
    str | None, typer.Option("--positive", help="The positive class of two; default: the last.")
]
ColumnsOption = Annotated[
    str | None, typer.Option("--columns", help="Columns to compare, by commas; default: all.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of kept references; default: .testbed/references."),
]

references = typer.Typer(
    help="Keep reference tables by name and version, with their thresholds.", no_args_is_help=True
)


def words(**options: str | int | list[str] | Path | None) -> list[str]:
    """Options as the job takes them; those that nobody gave are left out."""
    found: list[str] = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        found += [f"--{name.replace('_', '-')}={one}" for one in values if one is not None]
    return found


def store_words(store: Path | None) -> list[str]:
    """The option that says where references are kept."""
    return words(store=(store or load_settings().references).resolve())


@references.command()
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits, - and _.")],
    file: Annotated[
        str | None, typer.Argument(help="The table; or give a URL and a query.")
    ] = None,
    *,
    reference_url: ReferenceUrlOption = None,
    reference_query: ReferenceQueryOption = None,
    target: TargetOption = None,
    prediction: PredictionOption = None,
    task: HeldTaskOption = None,
    probability: ProbabilityOption = None,
    positive: PositiveOption = None,
    columns: ColumnsOption = None,
    sep: SepOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    kinds: KindsOption = None,
    store: StoreOption = None,
) -> None:
    """Keep a table as the next version of a name: its rows, the kinds of its columns, its hash.

    Examples:

      testbed drift reference add january january.parquet --target churn --prediction predicted

      testbed drift calibrate --reference january
    """
    given = words(
        reference_url=reference_url,
        reference_query=reference_query,
        target=target,
        prediction=prediction,
        task=task,
        probability=probability,
        positive=positive,
        columns=columns,
        sep=sep,
        decimal=decimal,
        encoding=encoding,
        **{"as": kinds},
    )
    become(["reference", "add", name, *([file] if file else []), *given, *store_words(store)])


@references.command("list")
def list_kept(*, store: StoreOption = None) -> None:
    """List every version of every name."""
    become(["reference", "list", *store_words(store)])


@references.command()
def show(
    name: Annotated[str, typer.Argument(help="NAME for the latest version, or NAME@VERSION.")],
    *,
    store: StoreOption = None,
) -> None:
    """Print what is kept of a reference as JSON: where it came from, its columns, its hash."""
    become(["reference", "show", name, *store_words(store)])


@references.command()
def remove(
    name: Annotated[str, typer.Argument(help="NAME for all versions, or NAME@VERSION.")],
    *,
    store: StoreOption = None,
) -> None:
    """Forget a reference, or one version of it."""
    become(["reference", "remove", name, *store_words(store)])
