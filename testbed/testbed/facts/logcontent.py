"""The prediction log row by row, joined with the truth by request id."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from testbed_domain.artefact import MANIFEST, Artefact, load_artefact
from testbed_domain.errors import DomainError

from testbed.charts import StoredModel
from testbed.facts.findings import Findings, StoredFinding
from testbed.facts.labelposts import Posting, postings, taken
from testbed.facts.logcompare import CLOCK, SKEW, RowCheck
from testbed.facts.logrows import LoggedLabel, RunLogReader
from testbed.facts.runfile import read_identity
from testbed.facts.scoring import Scorer, answered_by_log, hold_against_model
from testbed.faults.rig.strangemodel import copy_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from testbed.facts.sources import Sources
    from testbed.truth import Request, Truth

LABEL_VALUE, LABEL_MISSING, LABEL_UNPOSTED = "label value", "label missing", "label unposted"
UNAVAILABLE: Final = 503
COMMIT_SECONDS: Final = 1.0
"""For which the API waits for a commit that is under way, beyond a request's deadline."""
LABEL_TIMEOUT: Final = 10.0
"""Seconds that a batch of labels may be on its way: the load gives up after them."""


class LogContent(StoredModel):
    """The prediction log row by row, joined with the truth by request id.

    Attributes:
        rows: rows of the log that belong to a request of the truth.
        scored: answers that were held against the model's own.
        not_scored: why they could not be; empty where they were.
        findings: what differs in the rows.
        sent_otherwise: columns that differ though the answers fit what the log holds: so the
            service got other rows than the truth says, and it is not the log that is damaged.
        answers: what differs between answers and model.
        labels: labels of these rows in the log.
        label_findings: what differs in them.
        late_rows: rows of requests that were refused with 503: their time, and that for which the
            API waits for a commit beyond it, was up while they were written.
        late_labels: labels that are there though their batch was refused: its time was up while
            they were written.
    """

    rows: int = 0
    scored: int = 0
    not_scored: str = ""
    findings: tuple[StoredFinding, ...] = ()
    sent_otherwise: tuple[StoredFinding, ...] = ()
    answers: tuple[StoredFinding, ...] = ()
    labels: int = 0
    label_findings: tuple[StoredFinding, ...] = ()
    late_rows: int = 0
    late_labels: int = 0


def read_logcontent(sources: Sources) -> LogContent:
    """Read the run's rows of the log, and hold them against truth and model.

    Raises:
        DomainError: the run's identity can't be read.
        DomainError: the log can't be read.
    """
    truth, run = sources.truth, read_identity(sources.layout)
    artefact, problem = _artefact(sources.layout.model)
    promoted = promoted_models(sources.layout.versions) - {run.model}
    findings = Findings()
    check = RowCheck(
        findings,
        classes=() if artefact is None else [str(each) for each in artefact.schema.classes],
        regression=artefact is not None and artefact.schema.regression,
        models={run.model, *promoted, *_manifests([copy_of(sources.layout.model)])},
        instances=sources.pages.keys(),
        ended_at=sources.span.end,
    )
    by_id = {request.request_id: request for request in truth.requests}
    rows = 0
    logged: set[str] = set()
    of_others: set[str] = set()
    with RunLogReader(sources.log_url, run.id) as log:
        for row in log.predictions():
            request = by_id.get(row.request_id or "")
            if request is None:
                continue
            rows += 1
            logged.add(request.request_id)
            check(row, request)
            if (row.model_name, row.model_version) in promoted:
                of_others.add(request.request_id)
        stored = list(log.labels())
    model = _by_model(artefact, truth, of_others, check)
    due = postings(truth, sources.scenario.labels, run.seed)
    return LogContent(
        rows=rows,
        scored=model.scored,
        not_scored=model.problem or problem,
        findings=(*findings.all(rows), *(() if model.by_log else check.columns.all(rows))),
        sent_otherwise=check.columns.all(rows) if model.by_log else (),
        answers=model.findings,
        labels=len(stored),
        label_findings=compare_labels(truth, stored, due, by_id.keys() - logged),
        late_rows=sum(refused_late(by_id[identifier]) for identifier in logged),
        late_labels=late_labels(stored, due),
    )


class _Model(NamedTuple):
    """What the model's own answers say."""

    scored: int = 0
    problem: str = ""
    by_log: bool = False
    findings: tuple[StoredFinding, ...] = ()


def _by_model(
    artefact: Artefact | None, truth: Truth, of_others: Collection[str], check: RowCheck
) -> _Model:
    if artefact is None:
        return _Model()
    if not artefact.has_model:
        return _Model(problem="the model is not an ONNX file of the run's artefact")
    scorer = Scorer(artefact)
    answered = [
        r for r in truth.requests if r.prediction_id is not None and r.request_id not in of_others
    ]
    known = {request.request_id for request in answered}
    differing = [(r, stored) for r, stored in check.differing if r.request_id in known]
    by_log = bool(differing) and answered_by_log(scorer, *zip(*differing, strict=True))
    if by_log:
        otherwise = {request.request_id for request, _ in differing}
        answered = [request for request in answered if request.request_id not in otherwise]
    findings = Findings()
    try:
        hold_against_model(scorer, answered, findings)
    except DomainError as error:
        return _Model(problem=str(error), by_log=by_log)
    return _Model(len(answered), by_log=by_log, findings=findings.all(len(answered)))


def promoted_models(path: Path) -> set[tuple[str, str]]:
    """Names and versions of the models that the API was given while it ran."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folders = [content.get(role) for role in ("champion", "challenger", "previous")]
    except (OSError, ValueError, AttributeError):
        return set()
    return _manifests(map(Path, filter(None, folders)))


def _manifests(folders: Iterable[Path]) -> set[tuple[str, str]]:
    """Names and versions of the artefacts in these folders, of those that are there."""
    found = set()
    for folder in folders:
        with suppress(OSError, ValueError, KeyError, TypeError):
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            found.add((str(manifest["name"]), str(manifest["version"])))
    return found


def refused_late(request: Request) -> bool:
    """Whether it was refused for a commit that took too long, by how long its answer took."""
    took = request.finished_at - request.sent_at
    return request.status == UNAVAILABLE and took >= COMMIT_SECONDS


def late_labels(stored: Iterable[LoggedLabel], due: Iterable[Posting]) -> int:
    """How many labels of the log are of batches that were refused."""
    refused = {
        posting.request.prediction_id
        for posting in due
        if posting.batch is not None and not taken(posting.batch)
    }
    return sum(mark.prediction_id in refused for mark in stored)


def compare_labels(
    truth: Truth,
    stored: Iterable[LoggedLabel],
    due: Iterable[Posting],
    unlogged: Collection[str] = (),
) -> tuple[StoredFinding, ...]:
    """Labels of the log against the labels that the load posted.

    Args:
        truth: of the load.
        stored: the log's labels.
        due: what the load had to post.
        unlogged: requests whose prediction has no row: its label belongs to nothing.
    """
    findings = Findings()
    waiting = {posting.request.prediction_id: posting for posting in due}
    owners = {r.prediction_id: r for r in truth.requests if r.prediction_id is not None}
    count = 0
    for mark in stored:
        count += 1
        posting = waiting.pop(mark.prediction_id, None)
        request = owners.get(mark.prediction_id) if posting is None else posting.request
        if posting is None or posting.batch is None:
            which = mark.prediction_id if request is None else request.request_id
            findings.add(LABEL_UNPOSTED, f"{which}: stored {mark.label}")
            if request is None:
                continue
        if request is not None and mark.label != str(request.label):
            example = f"{request.request_id}: true {request.label}, stored {mark.label}"
            findings.add(LABEL_VALUE, example)
        if posting is not None and posting.batch is not None and taken(posting.batch):
            sent = posting.batch.sent_at
            if not sent - SKEW <= mark.time <= sent + LABEL_TIMEOUT + SKEW:
                example = (
                    f"{posting.request.request_id}: posted at {sent:.3f}, stored {mark.time:.3f}"
                )
                findings.add(CLOCK, example, offset=mark.time - sent)
    for posting in waiting.values():
        if taken(posting.batch) and posting.request.request_id not in unlogged:
            request = posting.request
            findings.add(LABEL_MISSING, f"{request.request_id}: true {request.label}")
    return findings.all(count, **{LABEL_MISSING: len(owners)})


def _artefact(folder: Path) -> tuple[Artefact | None, str]:
    try:
        return load_artefact(folder), ""
    except DomainError as error:
        return None, str(error)
