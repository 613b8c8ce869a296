"""The rows that were sent against those that the load's own code makes of its plan."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from testbed_domain.sampling import sampler
from testbed_load.statistics import reference_statistics
from testbed_load.traffic import TrafficSource, plan_rows

from testbed.facts.findings import Findings, StoredFinding
from testbed.facts.logcompare import same_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.artefact import Artefact, ReferenceRow
    from testbed_domain.features import Row
    from testbed_load.plan import LoadPlan

    from testbed.truth import Request

LABEL = "label"
COLUMN = "column"


def hold_against_plan(
    plan: LoadPlan,
    artefact: Artefact,
    reference: Sequence[ReferenceRow],
    sent: Sequence[Mapping[int, Request]],
) -> tuple[StoredFinding, ...]:
    """Find the requests whose features or label are not those of the plan.

    Args:
        plan: that the load played.
        artefact: whose rows it sends.
        reference: its reference rows.
        sent: index within the phase to the request, for each phase of the plan.

    Raises:
        LoadError: a drift of the plan is unknown or can't be used.
        DomainError: the artefact has nothing to draw from.
    """
    rows_ = [row.features for row in reference]
    statistics = reference_statistics(artefact.schema, rows_, [row.label for row in reference])
    source = TrafficSource(artefact.schema, statistics, lambda seed: sampler(artefact, seed))
    findings = Findings()
    total = 0
    for rows, requests in zip(plan_rows(plan, source), sent, strict=True):
        total += len(requests)
        for index, (features, label) in enumerate(islice(rows, max(requests, default=-1) + 1)):
            request = requests.get(index)
            if request is None:
                continue
            if request.features != features:
                _columns(request, features, findings)
            if request.label != label:
                example = f"{request.request_id}: planned {label}, sent {request.label}"
                findings.add(LABEL, example)
    return findings.all(total)


def _columns(request: Request, features: Row, findings: Findings) -> None:
    sent = request.features
    for name in {**features, **sent}:
        if not same_value(features.get(name), sent.get(name)):
            example = f"{request.request_id}: planned {features.get(name)}, sent {sent.get(name)}"
            findings.add(COLUMN, example, subject=name)
