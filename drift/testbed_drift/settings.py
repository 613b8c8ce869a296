"""Settings of the drift job: ``TESTBED_DRIFT_*`` variables, overridden by arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from testbed_domain.errors import DomainError
from testbed_domain.problems import problem

from testbed_drift.durations import DurationError, seconds_of
from testbed_drift.rows.spans import Period, SpanError

ENV_PREFIX = "TESTBED_DRIFT_"
HtmlWhen = Literal["always", "on_change", "never"]
WindowMode = Literal["sliding", "tumbling"]


class DriftSettingsError(DomainError):
    """A setting that is missing or can't be used."""


def _span(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Period.parse(value)
    except SpanError as error:
        raise ValueError(str(error)) from error


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return seconds_of(value)
    except DurationError as error:
        raise ValueError(str(error)) from error


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A number of seconds, or a duration like ``15m``."""


def _textfile(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".prom":
        raise ValueError(f"{path.name} must end in .prom: node_exporter reads no other files")
    return path


class DriftSettings(BaseSettings):
    """What to compare, how often, and where the reports go. Durations are seconds, or like 15m."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    log_url: str = Field(description="Prediction log, for example sqlite:////var/lib/log.db.")
    artefact: Path = Field(description="Artefact directory of the model that is watched.")
    output: Path = Field(Path("reports"), description="Directory of the reports.")
    interval: Seconds = Field(300.0, gt=0, description="Seconds from one run to the next in watch.")
    window: Seconds = Field(900.0, gt=0, description="Seconds of the current window, up to now.")
    window_rows: int | None = Field(
        None, ge=1, description="Rows of the current window, instead of seconds."
    )
    window_mode: WindowMode = Field(
        "sliding",
        description="sliding: the newest window each time; tumbling: one after another, each row "
        "in one.",
    )
    window_every: int | None = Field(
        None,
        ge=1,
        description="Rows from the end of one window to that of the next, counted from the first "
        "row after the job's start; with window_rows, which holds fewer in the first windows; for "
        "watch.",
    )
    window_lag: Seconds = Field(
        0.0,
        ge=0,
        description="Seconds that a row must be old to be evaluated, for its label to come; with "
        "window_every.",
    )
    min_rows: int = Field(200, ge=1, description="Fewest rows of a window that are evaluated.")
    max_rows: int = Field(5000, ge=1, description="Most rows of a window; the newest are taken.")
    sample_rows: int | None = Field(
        None, ge=1, description="Rows of a window above which a sample of about so many is read."
    )
    level: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Chance that a window without drift asks for an action, shared out among all "
        "tests; unset: each test has its own level.",
    )
    alert_share: float = Field(
        0.30,
        ge=0,
        le=1,
        description="Share of drifted columns from which it is ALERT. A drifted target or "
        "prediction, concept drift, and columns that drift together ask for it at any share.",
    )
    alert_columns: int = Field(
        0,
        ge=0,
        description="Drifted columns from which it is ALERT, whatever their share; 0: by the share "
        "alone. Of tables the default is 1, unless alert_share is set or the reference is "
        "calibrated, so that one drifted column of twenty is noticed by a cron job, too.",
    )
    retrain_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of drifted columns from which it is RETRAIN; with a drifted target or "
        "concept drift it is from alert_share on.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics; for watch.")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port of /metrics; unset offers none; for watch."
    )
    textfile: Annotated[Path | None, AfterValidator(_textfile)] = Field(
        None,
        description="File, NAME.prom, that keeps the metrics of the last run for node_exporter's "
        "textfile collector; for run.",
    )
    confirm: int = Field(
        1, ge=1, description="Windows, of the latest confirm_of, that must ask for an action."
    )
    confirm_of: int = Field(1, ge=1, description="How many of the latest windows count for that.")
    lock_wait: Seconds = Field(
        0.0, ge=0, description="Seconds to wait for another job on the same output directory."
    )
    html: HtmlWhen = Field(
        "on_change", description="When Evidently's report is rendered; scores always are."
    )
    report_interval: Seconds | None = Field(
        None, gt=0, description="Seconds after which on_change renders even without a change."
    )
    calibration: Path | None = Field(
        None,
        description="File of testbed drift calibrate; default: the artefact's, where it has one.",
    )
    relations_rows: int = Field(
        5000,
        ge=0,
        description="Rows of a window above which a seeded sample of so many is studied for what "
        "no single column shows; 0 studies nothing.",
    )
    relations_interval: Seconds = Field(
        0.0, ge=0, description="Least seconds between two such studies; the last one stands."
    )
    segment: str | None = Field(
        None, description="Column by whose values performance and drift are distinguished."
    )
    segments: int = Field(
        10, ge=1, description="Most values of a category that are segments of their own."
    )
    segment_rows: int = Field(
        200,
        ge=1,
        description="Fewest rows of a segment, in either window, whose drift is evaluated.",
    )
    versions: int = Field(
        1,
        ge=1,
        description="Most model versions of a window that are evaluated, the artefact's first.",
    )
    artefacts: Path | None = Field(
        None, description="Directory of the artefacts of further versions, one folder each."
    )
    workers: int = Field(
        1,
        ge=1,
        description="Processes that score segments and other versions; 1: the job itself.",
    )
    task_timeout: Seconds = Field(
        600.0,
        gt=0,
        description="Seconds that a worker process may take for one segment or version; then it is "
        "ended and replaced, and that one is an error.",
    )
    keep_runs: int | None = Field(
        None,
        ge=1,
        description="Most reports, lines and snapshots that are stored; unset: any number.",
    )
    keep_days: float | None = Field(
        None, gt=0, description="Days for which they are stored; unset: for ever. The newest stays."
    )
    workspace: Path | None = Field(
        None, description="Evidently workspace that shows every run; unset: none."
    )
    on_retrain: str = Field(
        "off",
        pattern=r"^(off|builtin|command \S.*)$",
        description="What RETRAIN starts: off, builtin (a challenger from labelled rows of the "
        "log, promoted where it is better), or command and a command line.",
    )
    retrain_cooldown: Seconds = Field(
        3600.0, ge=0, description="Seconds from one training to the next."
    )
    retrain_timeout: Seconds = Field(600.0, gt=0, description="Seconds that it may take.")
    retrain_window: Seconds | None = Field(
        None,
        gt=0,
        description="Seconds whose labelled rows are learnt; unset: those of the window.",
    )
    retrain_min_rows: int = Field(1000, ge=20, description="Fewest labelled rows to learn from.")
    retrain_rows: int = Field(5000, ge=20, description="Most labelled rows; the newest are taken.")
    retrain_holdout: float = Field(
        0.3, gt=0, lt=1, description="Share of them, the newest, that only evaluate both models."
    )
    models: Path | None = Field(
        None, description="Folder of trained models, which the API must see; unset: in the output."
    )
    management_token_file: Path | None = Field(
        None,
        description="File of the token that changes on the management ports need: what "
        "TESTBED_API_MANAGEMENT_TOKEN_FILE names.",
    )
    management_urls: str = Field(
        "",
        description="Management port of each replica of the API, with commas between; the job "
        "follows the champion there.",
    )
    reference_window: Annotated[Period | None, BeforeValidator(_span)] = Field(
        None, description="START/END in the log instead of the training reference."
    )
    current_window: Annotated[Period | None, BeforeValidator(_span)] = Field(
        None, description="START/END in the log instead of the last seconds; for run."
    )

    @property
    def management(self) -> tuple[str, ...]:
        """Base URL of each management port."""
        return tuple(url for part in self.management_urls.split(",") if (url := part.strip()))

    @property
    def model_store(self) -> Path:
        """Folder of trained models."""
        return self.models or self.output / "models"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.on_retrain == "builtin" and not self.management:
            raise ValueError(
                "--on-retrain builtin needs --management-urls, to register the challenger"
            )
        if self.max_rows < self.min_rows:
            raise ValueError(f"--max-rows {self.max_rows} is below --min-rows {self.min_rows}")
        if self.window_rows is not None and self.window_rows < self.min_rows:
            raise ValueError(
                f"--window-rows {self.window_rows} is below --min-rows {self.min_rows}"
            )
        if self.window_every is not None and self.window_rows is None:
            raise ValueError("--window-every needs --window-rows")
        if self.retrain_share < self.alert_share:
            both = f"{self.retrain_share:g} is below --alert-share {self.alert_share:g}"
            raise ValueError(f"--retrain-share {both}")
        if self.confirm_of < self.confirm:
            raise ValueError(f"--confirm-of {self.confirm_of} is below --confirm {self.confirm}")
        return self


def read_settings(**arguments: Any) -> DriftSettings:  # noqa: ANN401 - one of many types per name
    """Settings from the environment; arguments that are not None go before.

    Raises:
        DriftSettingsError: one is missing or can't be used; names it as it was given.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return DriftSettings(**given)
    except ValidationError as error:
        # What was said and can't be used goes before what was not said.
        first = min(error.errors(), key=lambda one: one["type"] == "missing")
        if not first["loc"]:  # of several settings, which it names
            raise DriftSettingsError(first["msg"].removeprefix("Value error, ")) from error
        name = str(first["loc"][0])
        option, variable = f"--{name.replace('_', '-')}", f"{ENV_PREFIX}{name.upper()}"
        shown = option if name in given else variable
        sentence = problem([{**first, "loc": (shown, *first["loc"][1:])}])
        hint = f": give it, or {option}" if first["type"] == "missing" else ""
        raise DriftSettingsError(f"{sentence}{hint}") from error
