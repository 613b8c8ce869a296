"""Parts of a service's file: how it is started, and its pages of metrics."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator
from testbed_load.headertemplates import HeaderTemplates
from testbed_load.pathtemplate import UrlPath

from testbed.fields import StrictModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HTTP: Final = "http"
"""Name of the port that the load asks."""


def _split(command: object) -> object:
    return tuple(shlex.split(command)) if isinstance(command, str) else command


Command: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Program and arguments, or one text as a shell splits it."""


class MetricsEndpoint(StrictModel):
    """A page of metrics that Prometheus scrapes."""

    path: UrlPath = "/metrics"
    port: str = Field(HTTP, description="Name of the port, of a service that the run starts.")
    job: str | None = Field(None, description="Label `job`; null: the service's name.")
    labels: dict[str, str] = Field({}, description="More labels of every series.")
    headers: HeaderTemplates = Field(
        {},
        description="Headers that it wants: `${NAME}` is an environment variable, so that no key "
        "has to stand in the file.",
    )

    @field_validator("headers")
    @classmethod
    def _is_scrapable(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if (reason := unscrapable(name, value)) is not None:
                raise ValueError(f"{name} {reason}")
        return headers


_PROMETHEUS: Final = frozenset(
    {
        *("accept-encoding", "content-encoding", "content-length", "content-type", "host"),
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("user-agent", "www-authenticate", "x-amz-content-sha256", "x-amz-date"),
        *("x-amz-security-token", "x-prometheus-remote-read-version"),
        *("x-prometheus-remote-write-version", "x-prometheus-scrape-timeout-seconds"),
    }
)
"""Headers that its configuration refuses; ``Authorization`` has settings of its own there."""


def unscrapable(name: str, value: str) -> str | None:
    """Why Prometheus can't send a header with its scrapes; None where it can."""
    if name.lower() in _PROMETHEUS:
        return "is set by Prometheus, which asks for the pages of metrics"
    return "holds {id}, and a scrape is no request of the load" if "{id}" in value else None


class Switch(StrictModel):
    """How a service is started with its telemetry, or without it."""

    command: Command = Field((), description="In place of the file's; empty: that one.")
    environment: dict[str, str] = Field({}, description="Variables beside those of the file.")


class TelemetrySwitch(StrictModel):
    """The two ways of starting a service that `testbed overhead` compares."""

    on: Switch = Switch()
    off: Switch = Switch(environment={"OTEL_SDK_DISABLED": "true"})


def place_of(url: str) -> str:
    """Where an URL leads, without what it says of users and passwords."""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def started_as(
    command: Sequence[str],
    directory: str | None,
    environment: Mapping[str, str],
    switches: Iterable[Switch],
    variables: Sequence[str],
) -> str:
    """One line on all that a service's file has executed, or sent.

    Args:
        command: that starts it, or where it is.
        directory: where it is started.
        environment: what it gets.
        switches: how it is started otherwise.
        variables: of the shell, which are sent to it.
    """

    def parts() -> Iterator[str]:
        yield shlex.join(command)
        if directory is not None:
            yield f"in {shlex.quote(directory)}"
        yield from _given(environment)
        for switch in switches:
            if switch.command:
                yield shlex.join(switch.command)
            yield from _given(switch.environment)
        if variables:
            yield f"which is sent the variables {', '.join(dict.fromkeys(variables))}"

    return "; ".join(parts())


def _given(environment: Mapping[str, str]) -> Iterator[str]:
    if environment:
        yield "with " + " ".join(
            f"{shlex.quote(name)}={shlex.quote(each)}" for name, each in environment.items()
        )
