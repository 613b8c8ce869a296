"""What can be started and stopped: a scenario, a load profile, faults of the API."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from pydantic import ValidationError
from testbed_domain.problems import problem

from testbed.clients import loopback
from testbed.errors import StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.consoleapp.playing import Player
    from testbed.consoleapp.runfolder import RunFolder
    from testbed.faults.api import ApiFault
    from testbed.faults.rig.control import FaultControl

START, STOP = "start", "stop"
BOTH: Final = ((START, "Start"), (STOP, "Stop"))
TIMEOUT: Final = 10.0
IDLE: Final = frozenset({"ready", "stopped"})
"""States of Locust in which it sends nothing."""
LAGS: Final = 5.0
"""Seconds for which Locust may still name the state of before: it answers from its memory."""
LOCUST: Final = "Locust web UI"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form.

    Attributes:
        name: of it.
        label: of it.
        value: that it begins with.
        choices: values and their texts; empty for a number.
    """

    name: str
    label: str
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A form of the console.

    Attributes:
        action: name of its path.
        title: of it.
        fields: of it.
        buttons: values of ``do`` and their texts; without any it only says something.
        note: a sentence below the fields.
        more_title: of what is folded.
        more: lines that are folded.
    """

    action: str
    title: str
    fields: tuple[FormField, ...] = ()
    buttons: tuple[tuple[str, str], ...] = BOTH
    note: str = ""
    more_title: str = ""
    more: tuple[str, ...] = ()


class ConsoleControl:
    """Does what a form asks; every method raises a DomainError of one line where it can't.

    Args:
        run: the stack's run.
        player: plays scenarios.
    """

    def __init__(self, run: RunFolder, player: Player) -> None:
        self._run = run
        self._player = player
        self._faults: FaultControl | None = None
        self._set: dict[str, str] = {}
        self._sending = False
        self._turned_at = -math.inf
        self.said = ""
        """What was done last."""
        self.actions: Mapping[str, Callable[[Mapping[str, str]], str]] = {
            "scenario": self.scenario,
            "load": self.load,
            "fault": self.fault,
        }

    def forms(self) -> tuple[Form, ...]:
        """The forms, as they are now."""
        return (self._scenario_form(), self._load_form(), self._fault_form())

    def scenario(self, form: Mapping[str, str]) -> str:
        """Start or stop a scenario."""
        if form.get("do") == STOP:
            self._player.stop()
            return "The scenario is being stopped."
        name = form.get("name", "")
        self._refuse_during_play()
        if self._set or self._loads():
            raise UsageError(
                "a load or a fault goes on, and the scenario's verdict would be of both: stop them "
                "first"
            )
        self._player.start(name)
        return f"The scenario {name} begins."

    def load(self, form: Mapping[str, str]) -> str:
        """Start or stop a load profile, by Locust."""
        stops = form.get("do") == STOP
        if not stops:
            self._refuse_during_play()
        base = self._run.announced.urls.get(LOCUST)
        if base is None:
            raise UsageError("this stack has no Locust web UI")
        if stops:
            _asked(f"{base}/stop", {})
            self._turn(sending=False)
            return "The load is stopped."
        names = {field.name for field in self._load_form().fields}
        chosen = {name: value for name, value in form.items() if name in names}
        _asked(f"{base}/swarm", chosen)
        self._turn(sending=True)
        return f"The load profile {chosen.get('load_profile', '')} is sent."

    def fault(self, form: Mapping[str, str]) -> str:
        """Set a fault of the API, or take all away that were set here."""
        self._refuse_during_play()
        control = self._fault_control()
        if form.get("do") == STOP:
            for key in list(self._set):
                control.clear(key)
                del self._set[key]
            return "The faults that were set here are gone."
        kinds = _kinds()
        kind = kinds.get(form.get("kind", ""))
        if kind is None:
            raise UsageError("there is no such fault")
        fields = {n: form[n] for n in kind.model_fields if n != "kind" and form.get(n)}
        try:
            fault = kind.model_validate(fields)
        except ValidationError as error:
            raise UsageError(problem(error.errors(), "the fault")) from None
        control.set(fault.key, fault.model_dump(exclude={"kind"}))
        self._set[fault.key] = fault.description
        return f"From now on {fault.description}."

    def _turn(self, *, sending: bool) -> None:
        self._sending, self._turned_at = sending, time.monotonic()

    def _loads(self) -> bool:
        """Whether a load is sent: one may end by itself, or be started on Locust's own page."""
        base = self._run.announced.urls.get(LOCUST)
        if base is not None and time.monotonic() - self._turned_at > LAGS:
            with suppress(httpx.HTTPError, ValueError):  # then it is as it was left here
                found = loopback.get(f"{base}/stats/requests", timeout=TIMEOUT).json()
                self._sending = found.get("state") not in IDLE
        return self._sending

    def _refuse_during_play(self) -> None:
        if self._player.running:
            raise UsageError(
                f"{self._player.name} is played, and its verdict would be of something else: "
                "stop it first, or wait for its end"
            )

    def _fault_control(self) -> FaultControl:
        if self._faults is None:
            from testbed.faults.rig.control import FaultControl  # noqa: PLC0415 - seldom
            from testbed.stack.addresses import management_addresses  # noqa: PLC0415 - the same

            identity = self._run.identity
            if identity.get("service"):
                raise UsageError("faults are of the bundled API, and this stack has a service")
            ports = management_addresses(identity["replicas"])
            urls = [f"http://{identity['endpoints'][each]}" for each in ports]
            self._faults = FaultControl(urls, self._run.layout.management_token)
        return self._faults

    def _scenario_form(self) -> Form:
        choices = self._player.choices()
        can = tuple((c.name, f"{c.name}: {c.title}") for c in choices if c.refused is None)
        cannot = tuple(f"{c.name}: {c.refused}" for c in choices if c.refused is not None)
        title = f"{len(cannot)} scenarios that this stack can't play, and what does"
        fields = (FormField("name", "Scenario of this stack", choices=can),) if can else ()
        note = "" if can else "The stack was started for no scenario: testbed up --scenario NAME."
        return Form("scenario", "Scenario", fields, BOTH if can else (), note, title, cannot)

    def _load_form(self) -> Form:
        from testbed_load.drifts import DRIFTS  # noqa: PLC0415 - needs numpy
        from testbed_load.options import WEB_PROFILES  # noqa: PLC0415 - the same

        return Form(
            "load",
            "Load profile",
            (
                FormField("load_profile", "Profile", choices=_same(WEB_PROFILES)),
                FormField("rate", "Requests per second", "50"),
                FormField(
                    "drift", "Drift, of the profile drifted", "covariate_shift", _same(DRIFTS)
                ),
                FormField("severity", "Severity of the drift", "1"),
                FormField("duration", "Seconds; 0 runs until it is stopped", "0"),
            ),
        )

    def _fault_form(self) -> Form:
        kinds = _kinds()
        note = f"Set now: {', '.join(self._set.values())}." if self._set else ""
        return Form(
            "fault",
            "Fault of the API",
            (
                FormField(
                    "kind",
                    "Kind",
                    "errors",
                    choices=tuple((n, f"{n}: {_first(k)}") for n, k in kinds.items()),
                ),
                FormField("ratio", "Share that it hits, 0 to 1", "0.5"),
                FormField("seconds", "Seconds, of latency", "1"),
            ),
            ((START, "Set"), (STOP, "Take all away")),
            note,
        )


def _kinds() -> dict[str, type[ApiFault]]:
    from testbed.faults import FAULTS  # noqa: PLC0415 - takes half a second to import
    from testbed.faults.api import ApiFault  # noqa: PLC0415 - the same

    return {name: kind for name, kind in FAULTS.items() if issubclass(kind, ApiFault)}


def _first(kind: type[ApiFault]) -> str:
    return (kind.__doc__ or "").partition(".")[0].partition(":")[0].partition(",")[0]


def _same(names: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(name)) for name in names)  # type: ignore[attr-defined]


def _asked(url: str, form: Mapping[str, str]) -> None:
    """POST to Locust.

    Raises:
        StackError: it refused or did not answer.
    """
    body: dict[str, object]
    try:
        reply = loopback.request("POST", url, data=form, timeout=TIMEOUT)
        body = reply.json() if reply.is_success else {"message": reply.text}
    except (httpx.HTTPError, ValueError) as error:
        raise StackError(f"Locust does not answer: {error}") from error
    if not body.get("success"):
        raise StackError(f"Locust refused: {str(body.get('message', ''))[:300]}")
