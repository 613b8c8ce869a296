"""``testbed log``: stats, export and pruning of a prediction log."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.cli import completion
from testbed.cli.housekeeping import AGE, parse_age
from testbed.cli.live import find_run
from testbed.console import out
from testbed.errors import UsageError
from testbed.settings import load_settings
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from testbed_domain.logstore import PredictionLog

app = typer.Typer(help="The prediction log: what it holds, export, pruning.", no_args_is_help=True)

UrlOption = Annotated[
    str | None, typer.Option("--log-url", help="SQLAlchemy URL; default: that of testbed serve.")
]
RunOption = Annotated[
    str | None,
    typer.Option(
        "--run", help="The log of this run (id or folder).", autocompletion=completion.run_ids
    ),
]
SINCE = "ISO 8601 date or time (UTC without an offset), or an age such as 7d."


def default_log(home: Path) -> str:
    """The log of ``testbed serve``."""
    return f"sqlite:///{(home / 'prediction-log.db').resolve()}"


def parse_time(text: str, now: float) -> float:
    """UTC Unix seconds of a date, a time, or an age before ``now``.

    Raises:
        UsageError: it is none.
    """
    if AGE.fullmatch(text):
        return now - parse_age(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"a time is written 2026-01-31 or 2026-01-31T12:00:00, an age 7d; not {text!r}"
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _opened(url: str | None, run: str | None) -> PredictionLog:
    if url is not None and run is not None:
        raise UsageError("give --log-url or --run, not both")
    from testbed_domain.logstore import open_log

    settings = load_settings()
    if run is not None:
        url = f"sqlite:///{find_run(settings, run).prediction_log}"
    return open_log(url or settings.log_url or default_log(settings.home), create=False)


@app.command()
def stats(*, url: UrlOption = None, run: RunOption = None) -> None:
    """Show what the log holds, by model version.

    Examples:

      testbed log stats

      testbed log stats --run 20260101T120000-demo-seed1
    """
    from testbed_domain import logmaintenance

    with _opened(url, run) as log:
        found = logmaintenance.stats(log)
    table = WordTable("version", ">predictions", ">labelled", ">replicas", ">first", ">last")
    for item in found.versions:
        table.add_row(
            f"{item.model_name} {item.model_version}",
            f"{item.rows}",
            f"{item.labelled} ({item.labelled / item.rows:.0%})",
            f"{item.instances}",
            _shown(item.first),
            _shown(item.last),
        )
    out.print(table)
    total = sum(item.rows for item in found.versions)
    out.print(f"{total} predictions, {found.size / 1e6:.1f} MB", highlight=False)


def _shown(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    *,
    since: Annotated[str | None, typer.Option(help=f"Earliest: {SINCE}")] = None,
    until: Annotated[str | None, typer.Option(help=f"Before: {SINCE}")] = None,
    model_version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    url: UrlOption = None,
    run: RunOption = None,
) -> None:
    """Write predictions and their labels to a Parquet file.

    Examples:

      testbed log export predictions.parquet --since 7d

      testbed log export january.parquet --since 2026-01-01 --until 2026-02-01
    """
    from testbed_domain import logmaintenance

    now = time.time()
    with _opened(url, run) as log:
        rows = logmaintenance.export(
            log,
            file,
            start=None if since is None else parse_time(since, now),
            end=None if until is None else parse_time(until, now),
            model_version=model_version,
        )
    out.print(f"{rows} predictions in {file}", highlight=False)


@app.command()
def prune(
    *,
    older_than: Annotated[str, typer.Option(help="Age, for example 12h, 30d, 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    more_than_half: Annotated[
        bool, typer.Option("--more-than-half", help="Delete even more than half of all.")
    ] = False,
    url: UrlOption = None,
    run: RunOption = None,
) -> None:
    """Delete old predictions with their labels; the service may run meanwhile.

    More than half of all predictions is refused without --more-than-half, since a clock that is
    wrong makes all of them old. SQLite keeps the space for new rows.

    Examples:

      testbed log prune --older-than 30d

      testbed log prune --older-than 12h --dry-run
    """
    from testbed_domain import logmaintenance

    before = time.time() - parse_age(older_than)
    with _opened(url, run) as log:
        try:
            rows = logmaintenance.prunable(log, before)
            needs = ""
        except logmaintenance.PruneRefusedError as error:
            if not (dry_run or more_than_half):
                raise
            rows = error.rows
            needs = f"; of {error.total}, so it needs --more-than-half"
        if not dry_run:
            rows = logmaintenance.prune(log, before)
    text = f"would delete {rows} predictions{needs}" if dry_run else f"deleted {rows} predictions"
    out.print(text, highlight=False)


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="log")
