"""The files that ``testbed init`` writes: YAML in which every guess has its comment. Pure.

What a service shows of itself may be anything: each value is JSON in ASCII, which YAML reads as
well, and each comment is one printable line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from testbed.initial.guess import counts_of, reply_of
from testbed.initial.look import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed.initial.guess import Guess
    from testbed.initial.look import Looked

UNKNOWN: Final = "not found: say it yourself, or leave it out"
LONGEST: Final = 200
"""Letters of a comment."""
_LAST_OF_FOUR_DIGITS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """What ``service.yaml`` is to say.

    Attributes:
        name: of the service.
        url: where it runs now.
        command: what starts it, in place of the URL.
        directory: where that was typed, from the folder of the file on; None: there.
        rules: folder of its alerting rules.
        path: of predictions.
        body: template of a request.
        headers: templates of those that it wants.
        looked: what the service shows.
        use_case: whose example row it was asked about.
        scraped: of the headers, those that Prometheus can send.
        unscraped: why it can send none of them; empty where it can.
    """

    name: str
    url: str
    command: str | None
    directory: str | None
    rules: str | None
    path: Guess
    body: Guess
    headers: Mapping[str, str]
    looked: Looked
    use_case: str
    scraped: Mapping[str, str] = field(default_factory=dict)
    unscraped: str = ""

    @property
    def _guesses(self) -> dict[str, dict[str, Guess]]:
        looked = self.looked
        return {
            "request": {"path": self.path, "body": self.body},
            "reply": {} if looked.answer is None else reply_of(looked.answer),
            "counts": counts_of(looked.grown),
        }

    def meant(self) -> dict[str, Any]:
        """The document."""
        found: dict[str, Any] = {"service": self.name}
        found |= {"command": self.command} if self.command else {"url": self.url}
        if self.command and self.directory is not None:
            found["directory"] = self.directory
        found["ready"] = self.looked.ready or "/"
        if self.looked.answer is not None:
            found["use_cases"] = [self.use_case]
        if self.rules is not None:
            found["rules"] = self.rules
        page: dict[str, Any] = {}
        if self.looked.page != METRICS:
            page["path"] = self.looked.page
        if self.looked.keyed:
            page["headers"] = dict(self.scraped)
        if page or self.looked.metrics is None:
            found["metrics"] = [] if self.looked.metrics is None else [page]
        for name, guesses in self._guesses.items():
            found[name] = {key: guess.value for key, guess in guesses.items()}
        if self.headers:
            found["request"]["headers"] = dict(self.headers)
        return found

    def text(self) -> str:
        """The same with a comment on each guess."""

        def lines() -> Iterator[str]:
            yield "# How testbed run --service asks your service. Every guess has a comment; see"
            yield "# docs/how-to/own-service.md, and docs/reference/services.md for every field."
            guesses, remarks = self._guesses, self._remarks()
            for name, value in self.meant().items():
                if name not in guesses:
                    yield f"{name}: {_value(value)}{_comment(remarks.get(name))}"
                    continue
                yield f"{name}:" if value else f"{name}: {{}}"
                for key, each in value.items():
                    guess = guesses[name].get(key)
                    remark = None if guess is None else guess.why
                    yield f"  {key}: {_value(each)}{_comment(remark)}"
                yield from map(_comment, self._left(name, value))

        return "\n".join(lines()) + "\n"

    def _remarks(self) -> dict[str, str]:
        looked = self.looked
        why = f"{looked.page} has none; without them its counters can't be compared"
        if looked.keyed:
            why = f"it answers {looked.guarded} without them, and shows its page with them"
        elif looked.metrics is not None:
            why = f"{METRICS} leads there"
        elif looked.guarded is not None:
            why = f"{looked.page} answers {looked.guarded}"
            if self.unscraped:
                why += f", and {self.unscraped}"
            elif not looked.still_guarded:
                why += ", and has none for who sends the headers that were given"
            elif self.scraped:
                why += ", with the headers that were given, too"
            why += "; without them its counters can't be compared"
        return {
            "directory": "from the folder of this file: where the command was given",
            "ready": "the first usual path of health that answers" if looked.ready else UNKNOWN,
            "use_cases": "it answered an example row; leave this out if it answers those of any",
            "metrics": why,
        }

    def _left(self, name: str, said: Mapping[str, Any]) -> Iterator[str]:
        """Comments on what a part does not say."""
        if name == "request" and self.looked.refused:
            yield f"it refused an example row: {self.looked.refused}"
        usual = {
            "reply": ("prediction", "probability", "id"),
            "counts": ("requests", "errors", "latency"),
        }
        for key in usual.get(name, ()):
            if key not in said:
                yield f"{key}: {UNKNOWN}"


def scenario_file(name: str, use_case: str, alerts: Sequence[str]) -> str:
    """Text of ``scenario.yaml``: normal traffic, a stop of the service where the run starts it."""

    def lines() -> Iterator[str]:
        yield "# A first scenario. What it may hold: docs/reference/scenario.schema.json."
        yield f"name: {_value(f'{name}-first')}"
        yield f"title: {_value(f'First scenario of {name}')}"
        yield "description: Normal traffic; none of the alerts may fire."
        yield f"use_case: {_value(use_case)}  # whose rows are sent"
        yield "time_scale: 30"
        yield "phases:"
        # Long enough for a window of the drift job.
        yield "  - {name: normal, duration: 20m, rate: 20}"
        yield "  # A fault, and the alert that must come of it:"
        yield "  # - name: outage"
        yield "  #   duration: 6m"
        yield "  #   rate: 20"
        yield f"  #   faults: [{{kind: restart, component: {_value(name)}, down: 3m}}]"
        yield "settle: 6m"
        if alerts:
            yield "# expected_alerts:  # your rules have these:"
            for alert in alerts:
                what = f"alert: {_value(alert)}, phase: outage, within: 5m, resolves_within: 6m"
                yield f"#   - {{{what}}}"
            yield "# limits: {error_ratio: 0.5}  # while it is down"

    return "\n".join(lines()) + "\n"


def _value(value: Any) -> str:  # noqa: ANN401 - JSON, which is YAML
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if " " <= each <= "~" else _escaped(each) for each in text)


def _escaped(letter: str) -> str:
    """As YAML reads it: it takes the two halves that JSON makes of some letters for two."""
    number = ord(letter)
    return f"\\u{number:04x}" if number <= _LAST_OF_FOUR_DIGITS else f"\\U{number:08x}"


def _comment(text: str | None) -> str:
    if not text:
        return ""
    line = " ".join(text.split())
    cut = line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
    return "  # " + "".join(each if each.isprintable() else "?" for each in cut)
