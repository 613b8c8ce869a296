"""The reply to one prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.encoding import Scored
    from testbed_domain.features import FeatureSchema, Label, ReplySource


def reply(artefact: Artefact, prediction_id: str, scored: Scored) -> dict[str, Any]:
    """One reply, as :func:`testbed_api.http.replies.reply_model` describes it."""
    made: dict[str, Any] = {"prediction_id": prediction_id, "prediction": scored.prediction}
    if scored.probability is not None:
        made["probability"] = scored.probability
        made["probabilities"] = scored.probabilities
    made["model_version"] = artefact.version
    made["synthetic"] = artefact.synthetic
    schema = artefact.schema
    made |= {field.name: _value(schema, scored, field.source) for field in schema.reply}
    return made


def _value(schema: FeatureSchema, scored: Scored, source: ReplySource) -> Label | None:
    if source == "prediction":
        return scored.prediction
    if source == "probability":
        return scored.probability
    return scored.probabilities[str(schema.positive_class)]
