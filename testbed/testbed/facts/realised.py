"""The drift that the load realised, phase by phase, recomputed from the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.charts import Kept

if TYPE_CHECKING:
    from testbed.facts.sources import Sources


class RealisedColumn(Kept):
    """What happened to one column in one phase, against the reference rows of the artefact.

    Attributes:
        name: of the feature.
        kind: as in the feature schema: ``float``, ``integer`` or ``category``.
        effect: shift of the mean in standard deviations of the reference where the column is
            numeric, else the total-variation distance of its values, missing ones among them.
        moved: whether the effect is beyond what the sampling of an undrifted phase explains.
    """

    name: str
    kind: str
    effect: float
    moved: bool


class RealisedPhase(Kept):
    """One phase, as its rows were sent.

    Attributes:
        name: of the phase.
        drift: name of the drift that the scenario gives it, or None.
        severity: of that drift; 0 without one.
        rows: requests with features and label.
        columns: in the schema's order.
        label_shift: total-variation distance of the labels from those of the reference rows.
        labels_moved: whether that is beyond what the sampling explains.
    """

    name: str
    drift: str | None = None
    severity: float = 0.0
    rows: int = 0
    columns: tuple[RealisedColumn, ...] = ()
    label_shift: float = 0.0
    labels_moved: bool = False


class Realised(Kept):
    """The drift that the load realised, phase by phase, recomputed from the truth.

    Attributes:
        phases: as played, in order; those without a row are there, too.
    """

    phases: tuple[RealisedPhase, ...] = ()


def read_realised(sources: Sources) -> Realised:
    """Read them.

    Raises:
        TestbedError: they can't be had.
    """
    del sources
    return Realised()
