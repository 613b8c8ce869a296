"""Settings of the command line: defaults, ``testbed.toml``, ``TESTBED_*``, options; last wins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from testbed_domain.files import refuse_other_than_folder
from testbed_load.command import KEY_VARIABLE
from testbed_otel.aliases import ALIASES, aliases_of, jobs_of, presets
from testbed_otel.standard import SAMPLER_RATIO
from testbed_otel.urls import is_http_url
from typing_extensions import override

from testbed.errors import UsageError
from testbed.trust import check

SETTINGS_FILE = "testbed.toml"
TOLERANCE: Final = 0.25
"""Ratio by which a measured value may be worse: two runs of the same differ by about a tenth."""


class _FileSource(TomlConfigSettingsSource):
    """The file, whose commands must be trusted."""

    @override
    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        for name, value in values.items():
            if name not in Settings.model_fields:
                raise UsageError(
                    f"{SETTINGS_FILE}: {name!r} is not a setting: remove it, or correct its name "
                    "(testbed settings prints all)"
                )
            if isinstance(value, str) and "\0" in value:
                raise UsageError(f"{SETTINGS_FILE}: {name} holds a NUL character: remove it")
        check(Path(SETTINGS_FILE), values)
        return values


class Settings(BaseSettings):
    """What holds for every command; a field ``x`` is set by ``TESTBED_X`` or in the file."""

    model_config = SettingsConfigDict(
        env_prefix="TESTBED_", toml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    home: Path = Field(Path(".testbed"), description="Folder of runs and models.")
    prefer_path: bool = Field(
        default=False, description="Take tools from PATH where their version fits."
    )
    use_case: str | None = Field(None, description="Use case, in place of the scenario's own.")
    model_seed: int = Field(0, description="Seed of the data and of the training of the model.")
    trace_ratio: float = Field(0.01, ge=0, le=1, description="Share of requests that are traced.")
    metric_aliases: str = Field(
        ",".join(preset for preset, aliases in ALIASES.items() if aliases),
        description="Presets: systems whose metric names a stack shows as well; empty for none.",
    )
    job_names: str = Field(
        "",
        description="Preset: the system whose names Prometheus's jobs bear, fastapi-instrumentator "
        "for fastapi and node-exporter; empty for the testbed's own.",
    )
    log_url: str | None = Field(
        None, description="SQLAlchemy URL of the prediction log; the default is SQLite in the run."
    )
    drift_min_rows: int = Field(
        200, ge=1, description="Rows that a drift window needs to be evaluated."
    )
    drift_on_retrain: str = Field(
        "off", description="What the drift job does on RETRAIN; as TESTBED_DRIFT_ON_RETRAIN."
    )
    runbooks: str | None = Field(
        None,
        description="URL below which runbooks are, as of a repository: goes before the relative "
        "runbook_url of a rule. Unset, links lead to the files that come along.",
    )
    start_timeout: float = Field(
        180.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds in which all parts together must be ready.",
    )
    request_timeout: float = Field(10.0, gt=0, description="Seconds after which load gives up.")
    load_key_file: Path | None = Field(
        None, description="File of the API key that the load sends, where the service demands one."
    )
    load_processes: int = Field(
        1, ge=1, le=64, description="Processes of Locust that send the load; above 1 with a master."
    )
    load_telemetry: bool = Field(
        default=False,
        description="Whether the load of runs and of `testbed up` sends durations and spans of its "
        "own, the parents of the service's, to their Collector.",
    )
    smtp_host: str | None = Field(None, description="SMTP server for alert e-mails, host:port.")
    smtp_from: str = Field("testbed@localhost", description="Sender of alert e-mails.")
    smtp_to: str | None = Field(None, description="Receiver of alert e-mails.")
    smtp_user: str | None = Field(None, description="Name to log in with, where it is needed.")
    smtp_password: SecretStr | None = Field(None, description="Its password.")
    smtp_tls: bool = Field(default=True, description="Whether the SMTP server must offer TLS.")

    @field_validator("metric_aliases")
    @classmethod
    def _known(cls, value: str) -> str:
        aliases_of(presets(value))
        return value

    @field_validator("job_names")
    @classmethod
    def _with_jobs(cls, value: str) -> str:
        jobs_of(value.strip())
        return value.strip()

    @field_validator("runbooks")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value and not is_http_url(value):
            raise ValueError(f"{value!r} is not an http(s) URL")
        return value or None

    @field_validator("load_key_file", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return value or None

    def load_environment(self) -> dict[str, str]:
        """Variables of Locust that are settings here."""
        file = self.load_key_file
        return {} if file is None else {KEY_VARIABLE: str(file.resolve())}

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Folder of trained models."""
        return self.home / "models"

    @property
    def loads(self) -> Path:
        """Folder of the truth of ``testbed load``."""
        return self.home / "loads"

    @property
    def references(self) -> Path:
        """References that `testbed drift reference` keeps, a folder per name and version."""
        return self.home / "references"

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)


def load_settings() -> Settings:
    """Read the effective settings.

    Raises:
        UsageError: a value is unusable, or its folders are none; names the setting.
    """
    # A pipe or a device may never end, and a link to nowhere would be passed over.
    if os.path.lexists(SETTINGS_FILE) and not Path(SETTINGS_FILE).is_file():
        raise UsageError(
            f"{SETTINGS_FILE} is not a file, so its settings can't be read: correct it"
        )
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"setting {name} (TESTBED_{name.upper()}): {first['msg']}") from error
    except ValueError as error:  # tomllib's
        raise UsageError(f"cannot read {SETTINGS_FILE}: {error}") from error
    within = (settings.runs, settings.models, settings.loads, settings.references)
    for folder in (settings.home, *within):
        try:
            refuse_other_than_folder(folder)
        except OSError as error:
            raise UsageError(
                f"home (TESTBED_HOME) is {settings.home}, but {error.filename}: {error.strerror}: "
                "mend it, or choose another home"
            ) from error
    return settings


TRACED: Final = 30
"""Requests that a run samples at least, so that sampling can be seen to work."""


def trace_ratio(settings: Settings, planned: float | None = None) -> float:
    """Share of requests that the parts are to sample; the caller's ``OTEL_*`` variable wins.

    Args:
        settings: the effective settings.
        planned: requests of the run; where nobody set a ratio, about :data:`TRACED` of them are
            sampled at least. None keeps the default.

    Raises:
        UsageError: the variable is not a number.
    """
    given = os.environ.get(SAMPLER_RATIO, "").strip()
    try:
        if given:
            return float(given)
    except ValueError as error:
        raise UsageError(f"{SAMPLER_RATIO}: {given!r} is not a number") from error
    ratio = settings.trace_ratio
    if planned and ratio > 0 and "trace_ratio" not in settings.model_fields_set:
        return max(ratio, min(1.0, round(TRACED / planned, 4)))
    return ratio
