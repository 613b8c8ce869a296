"""Parts of a service's file: how it is started, and its pages of metrics."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from testbed_domain.problems import nearest
from testbed_domain.use_cases import ANY, USE_CASES
from testbed_load.headertemplates import HeaderTemplates
from testbed_load.pathtemplate import UrlPath

from testbed.fields import StrictModel
from testbed.stack.scrapekeys import unscrapable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HTTP: Final = "http"
"""Name of the port that the load asks."""


def _split(command: object) -> object:
    return tuple(shlex.split(command)) if isinstance(command, str) else command


Command: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Program and arguments, or one text as a shell splits it."""


def _known(name: str) -> str:
    if name != ANY and name not in USE_CASES:
        raise ValueError(f"there is no use case {name!r}{nearest(name, (*USE_CASES, ANY))}")
    return name


KnownUseCase: TypeAlias = Annotated[str, AfterValidator(_known)]


def _scraped(path: str) -> str:
    if "{" in path or "}" in path:
        raise ValueError("it holds a brace: a scrape is no request of the load, nor has it a row")
    return path


class MetricsEndpoint(StrictModel):
    """A page of metrics that Prometheus scrapes."""

    path: Annotated[UrlPath, AfterValidator(_scraped)] = "/metrics"
    port: str = Field(HTTP, description="Name of the port, of a service that the run starts.")
    job: str | None = Field(None, description="Label `job`; null: the service's name.")
    labels: dict[str, str] = Field({}, description="More labels of every series.")
    headers: HeaderTemplates = Field(
        {},
        description="Headers that it wants: `${NAME}` is an environment variable, so that no key "
        "has to stand in the file.",
    )

    @field_validator("labels")
    @classmethod
    def _are_labels_of_series(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        for name in labels:
            if name == "job":
                raise ValueError("job is given by `job` of the page")
            if name.startswith("__"):
                raise ValueError(f"{name} is one of Prometheus's own")
        return labels

    def scraped_below(self, root: str) -> dict[str, Any]:
        """Path and query as a scrape job has them, which encodes both.

        Args:
            root: what the path begins with.
        """
        path, _, query = self.path.partition("?")
        found: dict[str, Any] = {"metrics_path": unquote(f"{root}{path}")}
        return found | ({"params": parse_qs(query, keep_blank_values=True)} if query else {})

    @field_validator("headers")
    @classmethod
    def _is_scrapable(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if (reason := unscrapable(name, value)) is not None:
                raise ValueError(f"{name} {reason}")
        return headers


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
