"""What the models of a scenario are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from testbed_rules.timescale import parse_duration


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=str | float),
    Field(ge=0, description="A duration as in Prometheus, for example 90s, 5m, 1h30m."),
]
Ratio = Annotated[float, Field(ge=0, le=1)]


class StrictModel(BaseModel):
    """Base of the scenario's parts: immutable; unknown keys and endless numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
