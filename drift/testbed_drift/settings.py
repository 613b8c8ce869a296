"""Settings of the drift job: ``TESTBED_DRIFT_*`` variables, overridden by arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from testbed_domain.errors import DomainError

from testbed_drift.spans import Span, SpanError

ENV_PREFIX = "TESTBED_DRIFT_"
HtmlWhen = Literal["always", "on_change", "never"]
WindowMode = Literal["sliding", "tumbling"]


class DriftSettingsError(DomainError):
    """A setting that is missing or can't be used."""


def _span(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Span.parse(value)
    except SpanError as error:
        raise ValueError(str(error)) from error


class DriftSettings(BaseSettings):
    """What to compare, how often, and where the reports go. Durations in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    log_url: str = Field(description="Prediction log, for example sqlite:////var/lib/log.db.")
    artefact: Path = Field(description="Artefact directory of the model that is watched.")
    output: Path = Field(Path("reports"), description="Directory of the reports.")
    interval: float = Field(300.0, gt=0, description="Seconds from one run to the next in watch.")
    window: float = Field(900.0, gt=0, description="Seconds of the current window, up to now.")
    window_rows: int | None = Field(
        None, ge=1, description="Rows of the current window, instead of seconds."
    )
    window_mode: WindowMode = Field(
        "sliding",
        description="sliding: the newest window each time; tumbling: one after another, each row "
        "in one.",
    )
    min_rows: int = Field(200, ge=1, description="Fewest rows of a window that are judged.")
    max_rows: int = Field(5000, ge=1, description="Most rows of a window; the newest are kept.")
    sample_rows: int | None = Field(
        None, ge=1, description="Rows of a window above which a sample of about so many is read."
    )
    alert_share: float = Field(0.30, ge=0, le=1, description="Share of drifted columns for ALERT.")
    retrain_share: float = Field(
        0.5, ge=0, le=1, description="Share of drifted columns to retrain."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics; for watch.")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port of /metrics; unset offers none; for watch."
    )
    confirm: int = Field(
        1, ge=1, description="Windows, of the latest confirm_of, that must ask for an action."
    )
    confirm_of: int = Field(1, ge=1, description="How many of the latest windows count for that.")
    html: HtmlWhen = Field(
        "on_change", description="When Evidently's report is rendered; scores always are."
    )
    report_interval: float | None = Field(
        None, gt=0, description="Seconds after which on_change renders even without a change."
    )
    calibration: Path | None = Field(
        None,
        description="File of testbed drift calibrate; default: the artefact's, where it has one.",
    )
    segment: str | None = Field(
        None, description="Column by whose values performance and drift are told apart."
    )
    segments: int = Field(
        10, ge=1, description="Most values of a category that are segments of their own."
    )
    segment_rows: int = Field(
        200, ge=1, description="Fewest rows of a segment, in either window, whose drift is judged."
    )
    versions: int = Field(
        1,
        ge=1,
        description="Most model versions of a window that are judged, the artefact's first.",
    )
    artefacts: Path | None = Field(
        None, description="Directory of the artefacts of further versions, one folder each."
    )
    workers: int = Field(
        1,
        ge=1,
        description="Processes that score segments and other versions; 1: the job itself.",
    )
    reference_window: Annotated[Span | None, BeforeValidator(_span)] = Field(
        None, description="START/END in the log instead of the training reference."
    )
    current_window: Annotated[Span | None, BeforeValidator(_span)] = Field(
        None, description="START/END in the log instead of the last seconds; for run."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_rows < self.min_rows:
            raise ValueError(f"max_rows {self.max_rows} is below min_rows {self.min_rows}")
        if self.window_rows is not None and self.window_rows < self.min_rows:
            raise ValueError(f"window_rows {self.window_rows} is below min_rows {self.min_rows}")
        if self.retrain_share < self.alert_share:
            raise ValueError("retrain_share is below alert_share")
        if self.confirm_of < self.confirm:
            raise ValueError(f"confirm_of {self.confirm_of} is below confirm {self.confirm}")
        return self


def read_settings(**arguments: Any) -> DriftSettings:  # noqa: ANN401 - one of many types per name
    """Settings from the environment; arguments that are not None go before.

    Raises:
        DriftSettingsError: one is missing or can't be used; names the variable.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return DriftSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        subject = f"{ENV_PREFIX}{name}" if name else f"{ENV_PREFIX}*"
        raise DriftSettingsError(f"{subject}: {first['msg']}") from error
