"""Dashboards against what makes them, and panels against their own words. No query is run for it.

The files that Grafana reads are made by :mod:`testbed_grafana`: a file that was changed by itself
shows something else than its source says. A title or a legend that names a quantile, and a unit of
time, must be those of the query, whoever wrote it.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

import promql_parser as promql
from testbed_otel import names
from testbed_rules.parsing import nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SHOWN: Final = 90
"""Characters of a value that a line shows."""

_QUANTILE: Final = re.compile(r"\bp(\d{1,3}(?:\.\d+)?)\b")
_SECONDS: Final = frozenset({"s", "dtdurations", "dthms", "clocks"})
"""Grafana's units of a value in seconds."""
_TIMES: Final = frozenset({"ns", "µs", "ms", "m", "h", "d", "dtdurationms", "clockms", *_SECONDS})


def unlike_source(folder: Path, made: Mapping[str, Any]) -> tuple[str, ...]:
    """How dashboards differ from what makes them, one line each.

    Args:
        folder: of Grafana's JSON files; one that is not there is no difference.
        made: file name to what its JSON should hold.
    """
    lines: list[str] = []
    for name, wanted in made.items():
        path = folder / name
        if not path.exists():
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        lines += _differences(found, wanted, path.stem)
    return tuple(lines)


def _differences(found: Any, wanted: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            if key not in found:
                yield f"{where}: {key} is missing"
            elif key not in wanted:
                yield f"{where}: {key} is {_short(found[key])}, which its source does not have"
            else:
                yield from _differences(found[key], wanted[key], f"{where}: {key}")
    elif isinstance(found, list) and isinstance(wanted, list):
        if len(found) != len(wanted):
            yield f"{where} has {len(found)} entries, its source has {len(wanted)}"
        for number, (one, other) in enumerate(zip(found, wanted, strict=False)):
            title = other.get("title") or other.get("refId") if isinstance(other, dict) else None
            yield from _differences(one, other, f"{where} {title or number + 1}")
    elif found != wanted:
        yield f"{where} is {_short(found)}, its source says {_short(wanted)}"


def contradictions(folder: Path) -> tuple[str, ...]:
    """Panels whose words say something else than their queries, one line each.

    Args:
        folder: of Grafana's JSON files, of which each can be read.
    """
    lines: list[str] = []
    for path in sorted(folder.glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in _panels(board.get("panels") or ()):
            title = str(panel.get("title") or "")
            unit = str(((panel.get("fieldConfig") or {}).get("defaults") or {}).get("unit") or "")
            for target in panel.get("targets") or ():
                where = f"{path.stem}: {title} {target.get('refId', '')}".strip()
                lines += _of_query(where, title, target, unit)
    return tuple(lines)


def _panels(panels: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels") or ())


def _of_query(where: str, title: str, target: Mapping[str, Any], unit: str) -> Iterator[str]:
    expression = re.sub(r"\$\w+|\$\{[^}]*\}", "1m", str(target.get("expr") or ""))
    quantiles = [float(text) for text in re.findall(r"histogram_quantile\(\s*([\d.]+)", expression)]
    named = _named(str(target.get("legendFormat") or "")) or _named(title)
    if len(named) == 1 and quantiles and not _holds(named, quantiles):
        yield f"{where}: it says p{named[0]:g} and shows the quantile {quantiles[0]:g}"
    if unit in _TIMES - _SECONDS and _in_seconds(expression):
        yield f"{where}: its values are in seconds, its unit is {unit}"


def _named(text: str) -> list[float]:
    """The percentiles that a text names."""
    return [float(found) for found in _QUANTILE.findall(text)]


def _holds(named: list[float], quantiles: list[float]) -> bool:
    return all(math.isclose(100 * each, named[0], abs_tol=1e-6) for each in quantiles)


def _in_seconds(expression: str) -> bool:
    """Whether it shows times of histograms in seconds: quantiles, or sums over counts."""
    try:
        tree = promql.parse(expression)
    except ValueError:
        return False  # whether it can be read, Prometheus says
    nodes = nodes_of(tree)
    used = {node.name for node in nodes if isinstance(node, promql.VectorSelector)}
    times = {
        series
        for metric in names.METRICS
        if metric.kind == "histogram" and metric.unit == "s"
        for series in metric.prometheus_series
    }
    scaled = any(isinstance(node, promql.NumberLiteral) and node.val >= 60 for node in nodes)  # noqa: PLR2004 - a factor to another unit
    return bool(used) and used <= times and not scaled and not used <= _counts(used)


def _counts(series: set[str | None]) -> set[str | None]:
    return {each for each in series if each and each.endswith("_count")}


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
