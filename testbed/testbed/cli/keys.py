"""``testbed keys``: API keys."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from testbed_api.http.keys import MIN_RATE, NAME, UNKNOWN, digest, new_key

from testbed.console import errors, out
from testbed.errors import UsageError

app = typer.Typer(help="API keys of the prediction service.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who will use it; the metrics show the name.")],
    *,
    rate: Annotated[
        float | None, typer.Option(min=MIN_RATE, help="Predictions per second; default: no limit.")
    ] = None,
    burst: Annotated[
        float | None, typer.Option(min=1, help="Predictions at once; default: the rate.")
    ] = None,
) -> None:
    """Make a key: it is shown once on standard error; the line for the keys file goes to output.

    Examples:

      testbed keys new dashboard >> keys.txt

      testbed keys new batch --rate 50 --burst 200 >> keys.txt

      TESTBED_API_KEYS_FILE=keys.txt testbed serve
    """
    if not NAME.fullmatch(name) or name == UNKNOWN:
        raise UsageError(f"a name has up to 40 letters, digits, '_', '.', '-'; not {name!r}")
    if burst is not None and rate is None:
        raise UsageError("--burst needs --rate")
    chosen = [value for value in (rate, burst) if value is not None]
    if not all(map(math.isfinite, chosen)):
        raise UsageError("--rate and --burst are finite numbers; without --rate there is no limit")
    key = new_key()
    limits = "".join(f" {str(value).removesuffix('.0')}" for value in chosen)
    errors.print(f"key of {name}, shown only now: {key}", highlight=False, markup=False)
    out.print(f"{name} {digest(key)}{limits}", highlight=False, markup=False)


@app.callback()
def group() -> None:
    """Keep ``new`` a command of its own, so that others can join it."""


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="keys")
