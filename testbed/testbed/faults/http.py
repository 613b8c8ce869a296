"""A fault that something else does when it is asked by HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from testbed.clients import loopback
from testbed.faults.base import FAULTS, AsideFault, ComponentName
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.control import bearer
from testbed.fields import StrictModel
from testbed.stack.addresses import MANAGEMENT, USUAL_PORTS

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig
    from testbed.phases import PhaseRow

REFUSED: Final = 400
CONTROL: Final = "/faults"
"""Path of the API's fault control, whose body holds all faults that are on."""
_URL: Final = re.compile(r"http://([\w.-]+:\d+)(?=/|$)")
TARGET: Final = "target"
"""Host of a URL that goes to the system under test, whichever that is."""


class HttpRequest(StrictModel):
    """One request."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: str = Field(
        pattern=r"^https?://[^\s]+$",
        description="Absolute; one of a component by its Compose address, as "
        "http://api:9464/faults, and one of the target as http://target/path.",
    )
    body: Any = Field(None, description="Sent as JSON; null sends none.")
    headers: dict[str, str] = Field({})

    @property
    def address(self) -> str | None:
        """The Compose address in its URL, or `target`; None where it goes elsewhere."""
        if re.match(rf"http://{TARGET}(/|$)", self.url):
            return TARGET
        found = _URL.match(self.url)
        return found[1] if found and found[1] in USUAL_PORTS else None


@FAULTS.register
class HttpFault(AsideFault):
    """A request that begins something, and one that ends it.

    A status of 400 or more, or no answer, says that it did not take hold. Those to a component go
    to the run's own; those to elsewhere need trust (`testbed trust FILE`).
    """

    by_http: ClassVar[bool] = True
    interrupts: ClassVar[bool] = True
    kind: Literal["http"] = "http"
    start: HttpRequest
    end_with: HttpRequest | None = Field(None, description="What ends it; null asks for nothing.")
    components: tuple[ComponentName, ...] = Field(
        (), description="Components that it hits: holes in what is measured of them are meant."
    )
    timeout: float = Field(10.0, gt=0, le=60, description="Real seconds for each answer.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"http {self.start.method} {self.start.url}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.start.method} {self.start.url} is asked"

    @property
    def hits(self) -> tuple[str, ...]:
        """Those that it names."""
        return self.components

    @property
    def trusting(self) -> str | None:
        """Requests that go to none of the components."""
        asked = [each for each in (self.start, self.end_with) if each and each.address is None]
        return "; ".join(each.model_dump_json(exclude_defaults=True) for each in asked) or None

    @property
    def controls(self) -> bool:
        """Where either request goes there."""
        asked = [each for each in (self.start, self.end_with) if each is not None]
        return any(
            each.address == MANAGEMENT and urlsplit(each.url).path.rstrip("/") == CONTROL
            for each in asked
        )

    def ask_for_begin(self, rig: Rig) -> int | str:
        """Send the first request."""
        return self._ask(rig, self.start)

    def ask_for_end(self, rig: Rig) -> int | str | None:
        """Send the other one."""
        return None if self.end_with is None else self._ask(rig, self.end_with)

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what was answered."""
        seen = last_event(case, phase, self.label)
        if "begin" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was asked")
        answers = [each for each in (seen["begin"], seen["end"]) if each is not None]
        took = all(isinstance(each, int) and each < REFUSED for each in answers)
        text = f"it was answered {' and, to end it, '.join(map(str, answers))}"
        return Effect(phase.name, self.label, took=took, seen=text)

    def _ask(self, rig: Rig, asked: HttpRequest) -> int | str:
        """Its status, or why there was no answer."""
        context, headers, url = rig.stack.context, dict(asked.headers), asked.url
        if asked.address == TARGET:
            url = url.replace(f"http://{TARGET}", context.target.load_url(context).rstrip("/"), 1)
        elif asked.address is not None:
            url = url.replace(f"http://{asked.address}", context.url(asked.address), 1)
        if asked.address == MANAGEMENT:
            headers = bearer(context.management_token) | headers
        options = {} if asked.body is None else {"json": asked.body}
        try:
            return loopback.request(
                asked.method, url, timeout=self.timeout, headers=headers, **options
            ).status_code
        except httpx.HTTPError as error:
            return loopback.reason(error)
