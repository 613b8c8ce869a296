"""``testbed doctor``, ``settings``, ``clean``."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from testbed_otel.masking import mask

from testbed.active import active_stacks
from testbed.console import out, say
from testbed.errors import EXIT_VERDICT_FAILED, UsageError
from testbed.settings import SETTINGS_FILE, Settings, load_settings
from testbed.trust import trust, trust_scenario
from testbed.wordtable import WordTable

AGE = re.compile(r"(\d+)([hdw])")
GIGABYTE = 1e9
SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def doctor() -> None:
    """Say what is missing on this machine and how to get it. Exit 1 when something needed is."""
    from testbed.stack.doctor import diagnose

    findings = diagnose()
    table = WordTable("", "what", "found", "what to do")
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text(finding.level, "red")
        table.add_row(mark, finding.name, finding.detail, "" if finding.ok else finding.fix)
    out.print(table)
    if any(not finding.ok and finding.level == "error" for finding in findings):
        raise typer.Exit(EXIT_VERDICT_FAILED)


def settings() -> None:
    """Print the effective settings: defaults, testbed.toml, TESTBED_*, and OTEL_* passed on."""
    from testbed.stack import shell

    effective = load_settings()
    table = WordTable("setting", "value", "from", "what")
    for name, field in Settings.model_fields.items():
        value = getattr(effective, name)
        if name == "log_url" and value is not None:
            value = _without_password(value)
        origin = "set" if name in effective.model_fields_set else "default"
        table.add_row(f"TESTBED_{name.upper()}", str(value), origin, field.description or "")
    passed = shell.passed_on(os.environ)
    for name in sorted({*passed, *shell.ignored(os.environ)}):
        value = os.environ[name]
        secret = name.endswith(("HEADERS", "PASSWORD", "TOKEN", "KEY"))  # they carry credentials
        table.add_row(
            name,
            "**********" if secret else mask(value),
            "set",
            shell.TELEMETRY[name] if name in passed else "run and up ignore it",
        )
    out.print(table)


def trust_file(
    file: Annotated[
        Path | None, typer.Argument(help="A scenario file, in place of testbed.toml.")
    ] = None,
) -> None:
    """Trust the commands that testbed.toml of the working directory names, as it is now.

    Or those of a scenario file: what starts the service that it brings, or where that is, what its
    `exec` faults execute, and what its `http` faults ask of others.

    Examples:

      testbed trust

      testbed trust mine.yaml
    """
    path = file or Path(SETTINGS_FILE)
    if file is None:
        found = trust(path)
    else:
        from testbed.scenario import read_scenario

        found = trust_scenario(path, read_scenario(path))
    for name, value in found.items():
        # Whoever wrote the file also wrote this: no sequence of it reaches the terminal.
        shown = value if value.isprintable() else repr(value)
        out.print(f"trusted: {name} = {shown}", markup=False, highlight=False)
    if not found:
        out.print(f"{path} names no command to trust", markup=False, highlight=False)


def _without_password(url: str) -> str:
    from sqlalchemy.exc import ArgumentError
    from testbed_domain.logengine import database_url

    try:
        database_url(url)
    except ArgumentError:
        return "not a database URL"  # and no reason to show what may hold a password
    return mask(url)


def parse_age(text: str) -> float:
    """Seconds of an age such as ``12h``, ``7d``, ``2w``.

    Raises:
        UsageError: it is none.
    """
    match = AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"an age is a number with h, d or w, for example 7d; not {text!r}")
    return int(match[1]) * float(SECONDS[match[2]])


def clean(
    *,
    older_than: Annotated[str, typer.Option(help="Age, for example 12h, 7d, 2w.")] = "7d",
    tools: Annotated[bool, typer.Option("--tools", help="Compiled tools of that age too.")] = False,
    models: Annotated[
        bool, typer.Option("--models", help="Models of that age too, with those kept for later.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove old runs, and on demand old models and compiled tools; never what is in use.

    Examples:

      testbed clean --older-than 2d

      testbed clean --older-than 0h --models --tools
    """
    from testbed.modelcache import folder as kept_models
    from testbed.stack.build import cache_folder

    effective = load_settings()
    oldest = time.time() - parse_age(older_than)
    busy = {stack.run for stack in active_stacks(effective.runs)}
    victims = [path for path in effective.runs.glob("*") if path.name not in busy]
    victims += effective.loads.glob("*")
    if models:
        victims += [*effective.models.glob("*"), *kept_models().glob("*")]
    if tools and not busy:
        victims += (cache_folder() / "tools").glob("*")
    old = [path for path in victims if path.is_dir() and path.stat().st_mtime <= oldest]
    freed = sum(_remove(path, dry_run=dry_run) for path in sorted(old))
    done = "would be removed" if dry_run else "removed"
    say(
        f"clean: {len(old)} folders, {_size(freed)}, {done}: what is older than {older_than}; "
        f"{_spared(len(victims) - len(old), sorted(busy))}"
    )
    if not old and not (models and tools):
        say("clean: with --models, --tools or another --older-than there may be more")


def _spared(newer: int, busy: list[str]) -> str:
    """What stays, and why."""
    running = f", and {', '.join(busy)}, which runs" if busy else ""
    return f"{newer} newer ones stay{running}"


def _remove(path: Path, *, dry_run: bool) -> int:
    """Remove a folder, and say so; returns its size in bytes."""
    size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    if not dry_run:
        shutil.rmtree(path)
    said = f"{'would remove' if dry_run else 'removed'} {path} ({_size(size)})"
    out.print(said, markup=False, highlight=False)
    return size


def _size(amount: int) -> str:
    return f"{amount / GIGABYTE:.1f} GB" if amount >= GIGABYTE else f"{amount / 1e6:.1f} MB"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.command()(settings)
    app.command(name="trust")(trust_file)
    app.command()(clean)
