"""The verdict for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from testbed.checks.margins import mutant_line
from testbed.texts import NONE, count, seconds, status_text
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbed.checks.results import AlertRow, CheckResult, Hop
    from testbed.verdict import Verdict

DETAILS_SHOWN = 8


def render_table(verdict: Verdict) -> RenderableType:
    """Alerts, losses, failed checks and the outcome, the most important last.

    Delays of alerts count from the phase's start, in real and in production time; that of the
    resolution from the phase's end.
    """
    parts: list[RenderableType] = [Text()]
    if verdict.alerts:
        parts += [_alerts(verdict.alerts), Text()]
    parts += [_hops(verdict.hops), Text()]
    mutants = mutant_line(verdict.rules)
    if mutants:
        parts += [Text(mutants, style="dim"), Text()]
    parts += [Text(f"{NONE} {check.summary}") for check in verdict.blind]
    parts += [_skipped(check) for check in verdict.skipped]
    parts += [_warning(check) for check in verdict.warned]
    for number, check in enumerate(verdict.failed):
        if number == 0:
            parts.append(Text(f"first broken link: {check.stage}", style="bold"))
        elif number == 1:
            parts.append(Text("what may follow from it:", style="bold"))
        parts += _failure(check)
    if verdict.failed or verdict.skipped or verdict.warned or verdict.blind:
        parts.append(Text())
    if verdict.points is not None:
        parts.append(Text(verdict.points.text))
    if verdict.coverage is not None:
        parts.append(Text(verdict.coverage.text, style="dim"))
    if verdict.too_slow:
        parts.append(Text(verdict.too_slow, style="bold yellow"))
    return Group(*parts, _outcome(verdict))


def _alerts(rows: tuple[AlertRow, ...]) -> WordTable:
    table = WordTable(
        "alert", "phase", "outcome", ">after", ">production", ">resolved", header_style="dim"
    )
    for row in rows:
        after = row.detection
        over = row.resolution
        table.add_row(
            Text(row.alert),
            Text(row.phase or NONE),
            _outcome_of(row),
            Text(f"{after.real:.1f} s" if after else NONE),
            Text(seconds(after.production) if after else NONE),
            Text(f"{over.real:.1f} s" if over else NONE),
        )
    return table


def _hops(rows: tuple[Hop, ...]) -> WordTable:
    table = WordTable(
        "counts", ">sent", ">arrived", "explained by", ">unexplained", header_style="dim"
    )
    for hop in rows:
        reasons = ", ".join(f"{item.count} {item.reason}" for item in hop.explained)
        table.add_row(
            Text(hop.title),
            Text(count(hop.sent)),
            Text(count(hop.arrived)),
            Text(reasons or NONE),
            Text(count(hop.residual), style="bold red" if hop.residual else "green"),
        )
    return table


def _failure(check: CheckResult) -> list[RenderableType]:
    hidden = len(check.details) - DETAILS_SHOWN
    lines: list[RenderableType] = [
        Text.assemble(("✗ ", "bold red"), (check.name, "bold"), f": {check.summary}"),
        *(Text(f"    {line}", style="dim") for line in check.details[:DETAILS_SHOWN]),
    ]
    if hidden > 0:
        lines.append(Text(f"    and {hidden} more, see the report", style="dim"))
    return lines


def _skipped(check: CheckResult) -> Text:
    return Text(f"{NONE} {check.name} is not applicable: {check.summary}", style="dim")


def _warning(check: CheckResult) -> Text:
    return Text.assemble(("! ", "bold yellow"), (check.name, "bold"), f": {check.summary}")


def _outcome(verdict: Verdict) -> Text:
    sign, style = ("✓", "bold green") if verdict.passed else ("✗", "bold red")
    if verdict.too_slow:
        sign, style = "?", "bold yellow"
    word = f"{sign} {verdict.outcome}"
    return Text.assemble((word, style), f"  {verdict.run.scenario}: {verdict.score}")


def _outcome_of(row: AlertRow) -> Text:
    return Text(status_text(row.status), style="green" if row.passed else "bold red")
