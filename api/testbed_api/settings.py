"""Settings of the API, from ``TESTBED_API_*`` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.options import Batching, BatchLimits, Serving


class ApiSettings(BaseSettings):
    """What an operator may choose. Each field is ``TESTBED_API_`` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    artefact: Path = Field(description="Directory of the model artefact.")
    runtime: Literal["onnx", "scikit-learn", "python", "mlflow"] = Field(
        default="onnx", description="What predicts; all but onnx are slower, or need an extra."
    )
    model: str | None = Field(
        default=None,
        description="With the runtime python an entry point or package.module:function, with "
        "mlflow a model URI.",
    )
    threads: int = Field(
        default=1, ge=1, le=1024, description="Threads of one inference, onnx and scikit-learn."
    )
    challenger: Path | None = Field(
        default=None, description="Directory of a second model artefact, the challenger."
    )
    split: float = Field(
        default=0.0, ge=0, le=1, description="Share of the requests that the challenger answers."
    )
    shadow: bool = Field(
        default=False,
        description="Whether the challenger predicts unseen what the champion answers.",
    )
    versions_file: Path | None = Field(
        default=None,
        description="File that keeps which version has which role, so that a promotion outlives a "
        "restart; replicas share it. Another artefact, challenger, split or shadow in the settings "
        "makes it void.",
    )
    host: str = Field(default="127.0.0.1", description="Address of the public port.")
    port: int = Field(default=8000, ge=0, le=65535, description="Public port; 0 takes a free one.")
    management_host: str = Field(default="127.0.0.1", description="Address of the management port.")
    management_port: int = Field(
        default=9464, ge=0, le=65535, description="Metrics, health and faults; 0 takes a free port."
    )
    management_token_file: Path | None = Field(
        default=None,
        description="File of the token that changes on the management port need; made at the start "
        "where it is missing. Unset refuses every change.",
    )
    management_names: str = Field(
        default="",
        description="Host names by which the management port may be asked, with commas between; "
        "IP addresses and localhost always may.",
    )
    targets_folder: Path | None = Field(
        default=None,
        description="Folder in which each replica leaves its scrape target for Prometheus's "
        "file_sd_configs; each start gets a service.instance.id of its own then.",
    )
    artefact_folders: str = Field(
        default="",
        description="Folders from which the management port may load a challenger, with commas "
        "between; default: the folder in which the artefact lies.",
    )
    log_url: str | None = Field(
        default=None, description="Prediction log as SQLAlchemy URL; 'none' keeps no log."
    )
    log_failure: Literal["refuse", "spool"] = Field(
        default="refuse",
        description="What happens to predictions while the log fails: 'refuse' answers 503, "
        "'spool' answers them and keeps their rows on disk until the log takes them.",
    )
    log_spool: Path = Field(
        default=Path("prediction-spool"),
        description="Folder of rows that wait for the log; replicas may share it.",
    )
    log_spool_limit: int = Field(
        default=64 * 1024 * 1024,
        ge=4096,
        description="Most bytes that a replica keeps there; what is more is dropped and counted.",
    )
    log_retention_days: float | None = Field(
        default=None,
        gt=0,
        description="Days after which predictions and their labels leave the log; unset keeps all. "
        "Nothing leaves where the clock was set, or where more than half of the log would go.",
    )
    faults_enabled: bool = Field(
        default=False, description="Whether /faults exists on the management port."
    )
    monitoring_test_enabled: bool = Field(
        default=False,
        description="Whether /monitoring/test/* exists, which counts what is entered by hand.",
    )
    fault_seed: int = Field(default=0, description="Seeds which predictions an error fault hits.")
    body_limit: int = Field(
        default=128 * 1024,  # the most labels fit in
        ge=1024,
        description="Largest body of a request, in bytes.",
    )
    batch_limit: int = Field(
        default=1000, ge=1, le=4000, description="Most rows in one request of /predict/batch."
    )
    batch_body_limit: int = Field(
        default=4 << 20, ge=1024, description="Largest body of /predict/batch, in bytes."
    )
    stream_body_limit: int = Field(
        default=64 << 20, ge=1024, description="Largest body of /predict/stream, in bytes."
    )
    held_bodies_limit: int = Field(
        default=256 << 20,
        ge=1024,
        description="Most bytes of the bodies of /predict/batch and /predict/stream that are held "
        "at a time, in memory and in temporary files; a request beyond that gets a 503.",
    )
    labels_limit: int = Field(default=1000, ge=1, description="Most labels in one request.")
    keys_file: Path | None = Field(
        default=None,
        description="File of API keys (testbed keys new); set, predictions, labels and metrics on "
        "the public port need one, and its health is a status alone.",
    )
    docs_enabled: bool = Field(
        default=True, description="Whether /docs and /openapi.json exist on the public port."
    )
    batching: Batching = Field(
        default="auto",
        description="Whether requests that wait for the model together are predicted together: "
        "auto (in a queue where the model is slow, else those that come at once), always or never.",
    )
    batch_rows: int = Field(default=256, ge=1, description="Most rows that are predicted together.")
    batch_wait: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Most seconds that requests are held back for a fuller batch.",
    )
    queue_rows: int = Field(
        default=2048, ge=1, description="Most rows that wait for the model; more get a 503."
    )
    deadline: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds within which a prediction is made, or refused with a 503; a request "
        "asks for less by its header X-Timeout-Ms.",
    )
    cache_size: int = Field(
        default=0, ge=0, description="Answers cached per model version; 0 caches none."
    )
    public_metrics: bool = Field(
        default=True,
        description="Whether /metrics and /health* answer on the public port too; turn it off "
        "where that port is public, or where there are several replicas behind it.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How the process logs: json, one object per line, or text."
    )
    access_log: str | None = Field(
        default=None,
        description="Where the JSON access log goes: a file, 'stdout', or 'none'.",
    )
    slow_seconds: float = Field(
        default=1.0, gt=0, description="Seconds from which a request always gets a trace."
    )
    shutdown_seconds: int = Field(
        default=10, ge=1, description="Seconds for open requests at the end."
    )
    linger_seconds: float = Field(
        default=1.0,
        ge=0,
        description="Seconds that an idle keep-alive connection is left open at the end, so that "
        "its client can send once more and be asked to close.",
    )
    head_seconds: float = Field(
        default=10.0, gt=0, description="Seconds in which a client must send a request's headers."
    )
    body_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Seconds in which it must send the body; a longer one must bring 500 bytes a "
        "second in each such period.",
    )
    write_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Seconds in which it must take the answer, or 500 bytes a second of it in each "
        "such period; else the connection is cut.",
    )
    connections_limit: int = Field(
        default=1000,
        ge=1,
        description="Most connections of each port; beyond that an idle one is closed for a new "
        "one, or the new one is answered with a 503.",
    )
    replicas: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes behind the public port. More than one have management ports from "
        "management_port on, are restarted when they crash, and one after another on SIGHUP.",
    )
    replicas_file: Path | None = Field(
        default=None,
        description="File to which the supervisor of several replicas appends their starts and "
        "ends, one JSON object per line.",
    )
    start: Literal["first", "crash", "restart"] = Field(
        default="first", description="Set by the supervisor: why this replica was started."
    )
    socket: int | None = Field(
        default=None, description="Set by the supervisor: descriptor of the public socket."
    )

    @property
    def serving(self) -> Serving:
        """How models are served."""
        limits = BatchLimits(
            self.batch_rows, self.batch_wait, max(self.queue_rows, self.batch_rows)
        )
        return Serving(self.batching, limits, self.deadline, self.cache_size)

    @field_validator(
        *("log_url", "access_log", "log_retention_days", "keys_file", "targets_folder"),
        mode="before",
    )
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value in {"none", ""} else value

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SettingsError: a setting is missing or can't be used; names its variable.
        """
        environment: dict[str, Any] = {}  # BaseSettings fills it in
        try:
            return cls(**environment)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(f"{name}: {first['msg']}") from None
