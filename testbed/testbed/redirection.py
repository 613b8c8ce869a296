"""A user's Alertmanager configuration with every integration pointed at the run's receiver. Pure.

Routes, grouping, inhibitions and templates stay. Of each integration only what says where and as
whom it sends is replaced, so that what arrives is what Alertmanager renders for it. Each receiver
gets a webhook besides, its witness, which says of every alert by its labels what the receiver is
notified of: of most messages nothing but their text is known. Both bear the id of one trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed_receiver.integrations import INTEGRATIONS
from testbed_receiver.messages import PREFIX, Place

from testbed.charts import StoredModel
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed_rules.timescale import TimeScale, Tree

SUFFIX: Final = "_configs"
TEMPLATES: Final = "own-templates"
"""Folder of the user's templates, beside the rendered configuration."""

# Of `global`, what says neither where nor as whom to send.
_SHARED: Final = ("resolve_timeout", "smtp_from")
_WHOLE: Final = ("inhibit_rules", "time_intervals", "mute_time_intervals")
_INTERVALS: Final = ("mute_time_intervals", "active_time_intervals")


class RedirectedIntegration(StoredModel):
    """An integration of a receiver.

    Attributes:
        receiver: its name.
        integration: ``slack``, ``pagerduty`` and the like.
        index: among the receiver's integrations of this kind, from 0.
        resolved: whether it is notified of the end of alerts.
        speaks_each_time: whether each notification brings a text.
        problem: why what it gets is not recorded; empty where it is.
    """

    receiver: str
    integration: str
    index: int
    resolved: bool
    speaks_each_time: bool = True
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.integration}[{self.index}] of the receiver {self.receiver}"


class Redirection(StoredModel):
    """What became of a user's configuration, as ``config/redirection.json`` holds it.

    Attributes:
        file: its name.
        integrations: those of all receivers.
        intervals: names of the time intervals that mute or activate its routes.
        unused: top-level keys that the run does not use.
    """

    file: str
    integrations: tuple[RedirectedIntegration, ...] = ()
    intervals: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def of(self, receiver: str) -> tuple[RedirectedIntegration, ...]:
        """The integrations of a receiver."""
        return tuple(each for each in self.integrations if each.receiver == receiver)

    @property
    def unrecorded(self) -> tuple[RedirectedIntegration, ...]:
        """Integrations whose messages nobody sees."""
        return tuple(each for each in self.integrations if each.problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as its user wrote it, one line each."""
        lines = [f"{each} is not played: {each.problem}" for each in self.unrecorded]
        if self.intervals:
            names = ", ".join(self.intervals)
            lines.append(f"time intervals go by the clock on the wall and are not scaled: {names}")
        lines += [f"`{key}` is not used" for key in self.unused]
        return tuple(lines)


def redirect(
    document: Mapping[str, Any], scale: TimeScale, *, file: str, http: str, smtp: str
) -> tuple[Tree, Redirection]:
    """Point every integration at the run's receiver, and scale routes and global durations.

    Args:
        document: the user's configuration, which Alertmanager takes.
        scale: of its durations.
        file: name of the file.
        http: ``host:port`` of the receiver.
        smtp: ``host:port`` at which it takes mails.

    Raises:
        UsageError: a duration can't be read.
    """
    given = document.get("global") or {}
    shared = {key: given[key] for key in _SHARED if key in given}
    receivers: list[Tree] = []
    found: list[RedirectedIntegration] = []
    for receiver in document.get("receivers") or ():
        entry, integrations = _receiver(receiver, given, http, smtp)
        receivers.append(entry)
        found += integrations
    scaled = scale.alertmanager({"global": shared, "route": document["route"]})
    tree: Tree = {
        **({"global": scaled["global"]} if shared else {}),
        "templates": [f"{TEMPLATES}/*"],
        "route": scaled["route"],
        **{key: document[key] for key in _WHOLE if document.get(key)},
        "receivers": receivers,
        # Nothing is exported: the ids of its traces say which requests are of one notification.
        "tracing": {"client_type": "http", "endpoint": http, "insecure": True},
    }
    unused = ("tracing",) if document.get("tracing") else ()
    intervals = tuple(dict.fromkeys(_intervals(document["route"])))
    return tree, Redirection(
        file=file, integrations=tuple(found), intervals=intervals, unused=unused
    )


def require_receivers(document: Mapping[str, Any], named: Mapping[str, str], file: str) -> None:
    """Refuse a scenario that names receivers which the configuration lacks.

    Args:
        document: the user's configuration.
        named: name of a receiver to where the scenario names it.
        file: name of the configuration.

    Raises:
        UsageError: names the first one.
    """
    there = [str(each["name"]) for each in document.get("receivers") or ()]
    for name, where in named.items():
        if name not in there:
            raise UsageError(f"{where} names the receiver {name!r}; {file} has {', '.join(there)}")


def _receiver(
    receiver: Mapping[str, Any], shared: Tree, http: str, smtp: str
) -> tuple[Tree, list[RedirectedIntegration]]:
    name = str(receiver["name"])
    entry: Tree = {"name": name}
    found = []
    for key, configs in receiver.items():
        if not key.endswith(SUFFIX):
            continue
        kind = key.removesuffix(SUFFIX)
        for index, config in enumerate(configs or ()):
            each = _integration(Place(name, kind, index), config)
            found.append(each)
            if not each.problem:
                place = Place(name, kind, index)
                url = f"{smtp}/{place}" if kind == "email" else f"http://{http}{PREFIX}/{place}"
                own = INTEGRATIONS[kind]().redirected(dict(config), shared, url)
                entry.setdefault(key, []).append(own)
    if found:
        witness = {"url": f"http://{http}/notifications", "send_resolved": True}
        entry.setdefault(f"webhook{SUFFIX}", []).append(witness)
    return entry, found


def _integration(place: Place, config: Mapping[str, Any]) -> RedirectedIntegration:
    kind = INTEGRATIONS.get(place.integration)
    problem = (
        f"no integration {place.integration} is known here" if kind is None
        else kind().problem(dict(config))
    )  # fmt: skip
    return RedirectedIntegration(
        receiver=place.receiver,
        integration=place.integration,
        index=place.index,
        resolved=bool(config.get("send_resolved", kind is None or kind.resolves)),
        speaks_each_time=kind is None or kind.speaks_each_time,
        problem=problem,
    )


def _intervals(route: Mapping[str, Any]) -> Iterator[str]:
    for key in _INTERVALS:
        yield from map(str, route.get(key) or ())
    for child in route.get("routes") or ():
        yield from _intervals(child)
