"""What of the Compose project can run here: read from the project as Compose itself sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed.composeimages import COMPOSE_IMAGES
from testbed.errors import StackError
from testbed.stack.catalogue import images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Servers of other projects, whose stand-ins are so big that they are made on demand alone.
SERVERS: Final = frozenset({"mlflow", "prefect"})
#: Plays the scenario, on what the others are.
PLAYER: Final = "scenario"
#: Between probes, for an engine that knows no interval of the start.
STEADY_INTERVAL: Final = "5s"
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}\b")
_FROM: Final = re.compile(r"(?im)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?")
_EMPTY: Final = re.compile(r"^([A-Z][A-Z0-9_]*)=$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Build:
    """An image of this project.

    Attributes:
        target: stage of the Dockerfile.
        tags: names that the services know it by.
    """

    target: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComposePlan:
    """What is built, what stands in, what starts.

    Attributes:
        builds: images of this project.
        stand_ins: name of an official image to the stand-in for it.
        services: to start, besides those that they depend on.
        left_out: service to the image that can't be had here.
        profiles: those of which nothing is left out.
    """

    builds: tuple[Build, ...]
    stand_ins: Mapping[str, str]
    services: tuple[str, ...]
    left_out: Mapping[str, str]
    profiles: tuple[str, ...]

    @property
    def images(self) -> frozenset[str]:
        """Names of all that is built."""
        return frozenset([*self.stand_ins, *(tag for build in self.builds for tag in build.tags)])


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    return re.sub(r":[^/:]*$", "", image.partition("@")[0])


def known(servers: frozenset[str]) -> dict[str, str]:
    """Repository to the stand-in for its images.

    Args:
        servers: those of :data:`SERVERS` that are wanted.
    """
    named = {"postgres", *servers}
    ours = {name: image for name, image in COMPOSE_IMAGES.items() if name in named}
    official = images() | ours | {"python": "python"}
    return {repository(image): name for name, image in official.items()}


def without_digests(text: str) -> str:
    """A Compose file or Dockerfile whose images go by their tags: a stand-in has another digest."""
    return _DIGEST.sub("", text)


def steady_probes(project: Mapping[str, Any]) -> dict[str, Any]:
    """The project for an engine without ``start_interval``: it probes at one interval.

    Often enough that the start is quick, and so seldom that the probes, each of which starts a
    process in a container, leave the processors to the scenario.
    """
    services = {name: dict(service) for name, service in project["services"].items()}
    for service in services.values():
        probe = dict(service.get("healthcheck", {}))
        if "start_interval" in probe:
            del probe["start_interval"]
            probe["interval"] = STEADY_INTERVAL
            service["healthcheck"] = probe
    return {**project, "services": services}


def settings(example: str, token: str, **more: str) -> str:
    """The settings of ``.env.example`` with ``token`` where one is missing, and some of our own."""
    filled = _EMPTY.sub(rf"\g<1>={token}", example)
    return "\n".join([filled, *(f"{name}={value}" for name, value in more.items()), ""])


def bases(dockerfile: str) -> list[str]:
    """The images that a Dockerfile begins from, but its own stages."""
    stages = {"scratch"}
    found: list[str] = []
    for image, stage in _FROM.findall(dockerfile):
        if image not in {*stages, *found}:
            found.append(image)
        stages.add(stage or image)
    return found


def plan(
    config: Mapping[str, Any], dockerfile: str, servers: frozenset[str] = frozenset()
) -> ComposePlan:
    """Read the plan from the project.

    Args:
        config: what ``docker compose --profile '*' config --format json`` prints.
        dockerfile: text of the project's Dockerfile.
        servers: those of :data:`SERVERS` that are wanted.

    Raises:
        StackError: the Dockerfile begins from an image without a stand-in, or a service can't do
            without one that is left out.
    """
    project, services = config["name"], config["services"]
    had = known(servers)
    stand_ins: dict[str, str] = {}
    for image in bases(dockerfile):
        if repository(image) not in had:
            raise StackError(f"the Dockerfile begins from {image}, for which there is no stand-in")
        stand_ins[image] = had[repository(image)]
    targets: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for name, service in services.items():
        image = service.get("image", f"{project}-{name}")
        if "build" in service:
            tags = targets.setdefault(service["build"].get("target", ""), [])
            tags.extend(tag for tag in [image] if tag not in tags)
        elif repository(image) in had:
            stand_ins[image] = had[repository(image)]
        else:
            left_out[name] = image
    _require_free(services, left_out)
    builds = tuple(Build(target, tuple(tags)) for target, tags in targets.items())
    started = tuple(_started(services, left_out))
    return ComposePlan(builds, stand_ins, started, left_out, _whole_profiles(services, left_out))


def _whole_profiles(services: Mapping[str, Any], left_out: Mapping[str, str]) -> tuple[str, ...]:
    """What the configuration may count on: the targets of half a profile would be down."""
    of = {name: set(service.get("profiles", ())) for name, service in services.items()}
    half = set().union(*(of[name] for name in left_out))
    return tuple(sorted(set().union(*of.values()) - half - of.get(PLAYER, set())))


def _require_free(services: Mapping[str, Any], left_out: Mapping[str, str]) -> None:
    for name, service in services.items():
        missing = set(_needs(service)).intersection(left_out)
        if name not in left_out and missing:
            raise StackError(f"service {name} needs {min(missing)}, which can't be had here")


def _needs(service: Mapping[str, Any]) -> Iterable[str]:
    for name, how in service.get("depends_on", {}).items():
        if how.get("required", True):
            yield name


def _started(services: Mapping[str, Any], left_out: Mapping[str, str]) -> Iterable[str]:
    """Those that stay up: what runs once comes with who depends on it, the player plays later."""
    for name, service in services.items():
        if name not in left_out and name != PLAYER and service.get("restart", "no") != "no":
            yield name
