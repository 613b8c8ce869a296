"""How far the load moved each column, phase by phase, in the units of the drift job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from testbed.charts import StoredModel
from testbed.facts.driftpoints import SUCCESS
from testbed.facts.driftwindows import ratios_of, wasserstein

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
        drifted: the distance of those rows alone that drift, where the phase's form lets some.
    """

    phase: str
    column: str
    numeric: bool
    effect: float
    rows: int
    drifted: float = 0.0

    @property
    def largest(self) -> float:
        """The distance that a window within the phase may show."""
        return max(self.effect, self.drifted)


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
        values, ratios = (numbers(before), {}) if numeric else (None, ratios_of(before))
        for phase, requests in phases.items():
            effects = [
                0.0 if not some else _effect(values, ratios, some, feature.name)
                for some in (requests, _drifting(requests))
            ]
            yield Move(
                phase=phase,
                column=feature.name,
                numeric=numeric,
                effect=effects[0],
                rows=len(requests),
                drifted=effects[1],
            )


def _drifting(requests: Sequence[Request]) -> list[Request]:
    """The requests of a phase that drift, where not all of them do."""
    drifting = [request for request in requests if request.drift is not None]
    return drifting if len(drifting) < len(requests) else []


def _effect(
    values: np.ndarray[Any, Any] | None,
    ratios: dict[str, float],
    requests: Sequence[Request],
    name: str,
) -> float:
    now = [request.features.get(name) for request in requests]
    if values is None:
        return _variation(ratios, ratios_of(now))
    return _distance(values, numbers(now))


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
