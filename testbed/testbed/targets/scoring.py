"""What a service predicts for the reference rows, asked before the run."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import httpx
from testbed_domain.artefact import ReferenceRow, served_elsewhere
from testbed_load.exchange import TemplateExchange

from testbed.clients import loopback
from testbed.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema, Label

    from testbed.targets.http import HttpService

TIMEOUT: Final = 30.0
AT_ONCE: Final = 4
SHOWN: Final = 200


def score_reference(service: HttpService, url: str, artefact: Artefact, folder: Path) -> Artefact:
    """The artefact with the service's predictions in place of those of the model in it.

    Args:
        service: how it is asked.
        url: where.
        artefact: gives the rows.
        folder: to write into.

    Raises:
        StackError: it did not answer with a prediction; says what it answered.
        LoadError: its templates don't fit the rows.
    """
    exchange = TemplateExchange(service.exchange(), artefact.schema, os.environ)
    asking = _Asking(exchange, url, artefact.schema)
    rows = list(artefact.reference())[: service.reference_rows]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        scored = list(pool.map(asking.scored, range(len(rows)), rows))
    return served_elsewhere(artefact, folder, service.name, scored)


class _Asking:
    def __init__(self, exchange: TemplateExchange, url: str, schema: FeatureSchema) -> None:
        self._exchange = exchange
        self._url = url.rstrip("/")
        self._schema = schema

    def scored(self, number: int, row: ReferenceRow) -> ReferenceRow:
        """One row as the service predicts it."""
        exchange, name = self._exchange, f"reference-{number}"
        body = exchange.body(row.features, name)
        own = exchange.headers(name)
        headers = {"Content-Type": "application/json", "X-Request-ID": name, **own}
        try:
            answer = loopback.request(
                exchange.method,
                f"{self._url}{exchange.path(row.features, name)}",
                content=body,
                headers=headers,
                timeout=TIMEOUT,
            )
        except httpx.HTTPError as error:
            raise StackError(
                f"the service did not answer a reference row: {loopback.reason(error)}"
            ) from None
        reply = exchange.read(answer.status_code, answer.content, name)
        if reply.prediction is None:
            why = reply.problem or f"status {answer.status_code}"
            said = " ".join(exchange.hidden(answer.text)[:SHOWN].split())
            raise StackError(
                f"the service can't be compared with a reference: asked {body}, it answered "
                f"{said!r} ({why}); see request and reply of its file"
            )
        return ReferenceRow(
            features=row.features,
            prediction=str(reply.prediction),
            probability=reply.probability or 0.0,
            probabilities=probabilities(self._schema, reply.prediction, reply.probability),
            label=row.label,
        )


def probabilities(
    schema: FeatureSchema, prediction: Label, probability: float | None
) -> dict[str, float]:
    """Class to probability, for as far as that of one class says it; empty where it doesn't."""
    if probability is None or schema.regression or len(schema.classes) != 2:  # noqa: PLR2004
        return {}
    return {
        str(label): probability if label == prediction else 1.0 - probability
        for label in schema.classes
    }
