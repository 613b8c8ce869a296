"""How far the load moved each column, phase by phase, in the units of the drift job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from testbed.charts import StoredModel
from testbed.facts.driftpoints import SUCCESS
from testbed.facts.driftwindows import shares_of, wasserstein

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_domain.artefact import Artefact

    from testbed.facts.driftpoints import Record
    from testbed.truth import Request, Truth


class Move(StoredModel):
    """How far a phase's rows of one column are from the model's reference.

    Attributes:
        phase: its name.
        column: name of the feature.
        numeric: whether the effect is a Wasserstein distance in standard deviations of the
            reference; else it is the total variation distance, missing values among the others.
        effect: that distance.
        rows: requests of the phase.
    """

    phase: str
    column: str
    numeric: bool
    effect: float
    rows: int


class Named(StoredModel):
    """Columns that a run of the job called drifted.

    Attributes:
        run: its index.
        start: Unix time of the first row of the window.
        end: that of the last row.
        rows: rows of the window.
        columns: the drifted ones.
    """

    run: int
    start: float
    end: float
    rows: int
    columns: tuple[str, ...]


def named(records: Sequence[Record], version: str) -> tuple[Named, ...]:
    """What each run named, of one model version."""
    return tuple(
        Named(
            run=index,
            start=record["windows"]["current"]["start"],
            end=record["windows"]["current"]["newest"],
            rows=record["windows"]["current"]["rows"],
            columns=tuple(name for name, one in record["columns"].items() if one["drifted"]),
        )
        for index, record in enumerate(records)
        if record["outcome"] == SUCCESS
        and record["model_version"] == version
        and record["windows"]["current"]["start"] is not None
        and record["windows"]["current"].get("newest") is not None
    )


def moves(truth: Truth, artefact: Artefact, reference: Sequence[Any]) -> Iterator[Move]:
    """How far each phase moved each column.

    Args:
        truth: what was sent.
        artefact: the model whose schema it has.
        reference: rows of its reference, as the artefact gives them.
    """
    phases: dict[str, list[Request]] = {}
    for request in truth.requests:
        if request.features:
            phases.setdefault(request.phase, []).append(request)
    for feature in artefact.schema.features:
        before = [row.features.get(feature.name) for row in reference]
        numeric = feature.kind != "category"
        values, shares = (numbers(before), {}) if numeric else (None, shares_of(before))
        for phase, requests in phases.items():
            now = [request.features.get(feature.name) for request in requests]
            yield Move(
                phase=phase,
                column=feature.name,
                numeric=numeric,
                effect=_variation(shares, shares_of(now))
                if values is None
                else _distance(values, numbers(now)),
                rows=len(now),
            )


def numbers(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The numbers among the values."""
    found: np.ndarray[Any, Any] = np.array(
        [np.nan if value is None else value for value in values], dtype=float
    )
    return np.asarray(found[np.isfinite(found)])


def _variation(before: dict[str, float], now: dict[str, float]) -> float:
    every = before.keys() | now.keys()
    return sum(abs(before.get(one, 0.0) - now.get(one, 0.0)) for one in every) / 2


def _distance(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> float:
    return wasserstein(before, now) if len(before) and len(now) else 1.0
