"""``docs/drift-rates.md`` from the counts of ``test_drift_truth.py``. Pure."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scipy.stats import beta

from .label_streams import STEADY

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: Final = ("default", "calibrated")
PEERS: Final = {"evidently": "Evidently", "nannyml": "NannyML"}
# Columns of eight from which Evidently calls a data set drifted.
HALF: Final = 4
CHUNKS: Final = 5


@dataclass
class Rates:
    """Counts of a run.

    Attributes:
        quiet: windows without drift per cell and rule.
        peer_quiet: those that the peers evaluated.
        drifted: windows per drift and rule.
        peer_drifted: those that the peers evaluated.
        drifts: what drifts: name to rows of the window, shift, points.
        cells: window, reference and categories to alarms by rule, and to the number of flagged
            columns of each window by peer.
        found: drift to share of windows in which it was found, by rule and by peer.
        streams: alarms in streams of labels without change.
        falls: labels until a fall of the accuracy was found; None where it was not.
    """

    quiet: int
    peer_quiet: int
    drifted: int
    peer_drifted: int
    drifts: dict[str, tuple[int, float, float]]
    cells: dict[tuple[int, int, int], dict[str, Any]] = field(default_factory=dict)
    found: dict[str, dict[str, float]] = field(default_factory=dict)
    streams: list[bool] = field(default_factory=list)
    falls: list[int | None] = field(default_factory=list)

    @property
    def windows(self) -> int:
        """Windows without drift, all cells together."""
        return self.quiet * len(self.cells)

    def alarms(self, rule: str) -> int:
        """False positives, all cells together."""
        return sum(cell[rule] for cell in self.cells.values())

    def flagged(self, peer: str, chunks: int = 0) -> float:
        """Share of windows in which a peer flags any column, all cells together.

        Args:
            peer: whose verdict.
            chunks: only cells whose reference is at least so many times as large as the window.
        """
        counts = [
            count
            for (window, reference, _), cell in self.cells.items()
            for count in cell[peer]
            if reference >= chunks * window
        ]
        return sum(map(bool, counts)) / len(counts)


def bound(count: int, of: int) -> float:
    """Upper 95 % bound of a share (Clopper and Pearson)."""
    return float(beta.ppf(0.95, count + 1, of - count)) if count < of else 1.0


def page(rates: Rates) -> str:
    """The page."""
    return "\n".join([*_head(), *_quiet(rates), *_detection(rates), *_labels(rates)]) + "\n"


def _paragraph(*sentences: str) -> str:
    """Sentences, wrapped, with an empty line after them."""
    return textwrap.fill(" ".join(sentences), 99, break_long_words=False) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _header(*cells: str) -> str:
    return f"{_row(*cells)}\n{_row(*('---' for _ in cells))}"


def _head() -> Iterator[str]:
    yield "# Drift rates\n"
    yield _paragraph(
        "Written by `pytest tests/bench/test_drift_truth.py --benchmark-enable`.",
        "Reference and windows are independent draws of one generator: eight columns of one kind",
        "(standard normal numbers, or categories with shares as 1, 1/2, 1/3 …), a prediction and a",
        "label. Under the default rule every window has a reference of its own; a calibration",
        "(`testbed drift calibrate`, budget 0.1 %, 3,000 draws) is of one reference per cell.",
    )


def _quiet(rates: Rates) -> Iterator[str]:
    ours = " and ".join(
        f"{rates.alarms(rule):,} of {rates.windows:,} windows under the {rule} rule "
        f"(upper 95 % bound {bound(rates.alarms(rule), rates.windows):.2%})"
        for rule in RULES
    )
    evaluated = rates.peer_quiet * len(rates.cells)
    theirs = ", ".join(f"{name} {rates.flagged(peer):.0%}" for peer, name in PEERS.items())
    yield "## False positives\n"
    yield _paragraph(
        "Share of windows without drift in which any column, the prediction or the target",
        f"drifted: {ours}.",
    )
    yield _paragraph(
        f"Evidently's and NannyML's defaults, on {rates.peer_quiet} windows per cell with a",
        "reference each, evaluate the columns alone: any of the eight flagged, or half of them,",
        f"Evidently's limit for a data set. Any column, of {evaluated} windows: {theirs}.",
        "NannyML's chunks have as many rows as the window, and its thresholds come from the chunks",
        "of the reference: where that gives a single one, everything is above them. With",
        f"{CHUNKS} chunks or more (reference 5,000, windows of 500 and 1,000) it flags any column",
        f"in {rates.flagged('nannyml', CHUNKS):.0%} of the windows.",
    )
    peers = (f"{name} {what}" for name in PEERS.values() for what in ("any", "half"))
    yield _header("columns", "reference", "window", *RULES, *peers)
    for (window, reference, kind), cell in rates.cells.items():
        columns = f"{kind} categories" if kind else "numbers"
        ratios = [f"{cell[rule] / rates.quiet:.1%}" for rule in RULES]
        ratios += [
            f"{sum(count >= minimum for count in cell[peer]) / rates.peer_quiet:.0%}"
            for peer in PEERS
            for minimum in (1, HALF)
        ]
        yield _row(columns, f"{reference:,}", f"{window:,}", *ratios)


def _detection(rates: Rates) -> Iterator[str]:
    yield "\n## Detection\n"
    yield _paragraph(
        f"Share of {rates.drifted} windows in which what moved is found, reference of 5,000 rows,",
        "calibrated with 10,000 draws; Evidently's and NannyML's defaults on",
        f"{rates.peer_drifted} windows, with the share of as many windows without drift in which",
        "they flag the same in brackets.",
    )
    yield _header("drift", "window", *RULES, *PEERS.values())
    for name, ratios in rates.found.items():
        ours = (f"{ratios[rule]:.1%}" for rule in RULES)
        theirs = (f"{ratios[peer]:.0%} ({ratios[f'{peer} without']:.0%})" for peer in PEERS)
        yield _row(name, f"{rates.drifts[name][0]:,}", *ours, *theirs)


def _labels(rates: Rates) -> Iterator[str]:
    found = [labels for labels in rates.falls if labels is not None]
    yield "\n## Labels\n"
    yield _paragraph(
        "Streams of labels of a calibrated model with an accuracy of 0.95, reference of 5,000, a",
        "run every 25 labels on the newest 5,000, evaluated as by the drift job.",
    )
    yield _header("stream", "streams", "alarm in", "labels until then (median)", "at most")
    steady = f"0.95 throughout, {STEADY:,} labels"
    yield _row(steady, f"{len(rates.streams)}", f"{sum(rates.streams)}", "none", "none")
    yield _row(
        "0.95, then 0.90",
        f"{len(rates.falls)}",
        f"{len(found)}",
        f"{median(rates.falls):,.0f}",
        f"{max(found, default=0):,}",
    )


def median(falls: list[int | None]) -> float:
    """Median of the labels until a fall was found; one that was not counts as endless."""
    ranked = sorted(float("inf") if labels is None else float(labels) for labels in falls)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
