"""A user's Alertmanager configuration: read, checked by amtool, and rendered for a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.files import read_regular, write_atomic
from testbed_domain.yamlfile import read_mapping

from testbed.errors import UsageError
from testbed.redirection import TEMPLATES, Redirection, redirect, require_receivers
from testbed.stack.asking import ask_tool

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from testbed_rules.timescale import TimeScale, Tree

    from testbed.layout import RunLayout
    from testbed.stack.build import Tools

SMTP: Final = "receiver:2525"
"""Compose-like address at which the receiver takes mails in such a run."""

_FAILED: Final = re.compile(r"FAILED: (.+?)(?:\n\n|\namtool:|\Z)", re.DOTALL)
_LINE: Final = re.compile(r"line (\d+)")
_QUOTED: Final = re.compile(r'"([^"]+)"')
_KEY: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"']+")
_VALUE: Final = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class OwnAlertmanager:
    """A configuration that Alertmanager takes.

    Attributes:
        path: the file.
        document: its content.
    """

    path: Path
    document: Mapping[str, Any]

    def render(self, layout: RunLayout, scale: TimeScale, endpoints: Mapping[str, str]) -> Tree:
        """The configuration for a run; writes its templates and what became of it.

        Raises:
            UsageError: a duration can't be scaled, or a template can't be read.
        """
        http, smtp = endpoints["receiver:9080"], endpoints[SMTP]
        tree, redirection = redirect(
            self.document, scale, file=self.path.name, http=http, smtp=smtp
        )
        write_atomic(layout.redirection, redirection.model_dump_json(indent=2) + "\n")
        for number, template in enumerate(self._templates()):
            # In their order, of which the last definition of a name wins.
            target = layout.config / TEMPLATES / f"{number:03}-{template.name}"
            try:
                write_atomic(target, template.read_bytes())
            except OSError as error:
                raise UsageError(f"cannot read {template}: {error.strerror}") from error
        return tree

    def _templates(self) -> list[Path]:
        found = []
        for pattern in self.document.get("templates") or ():
            path = self.path.parent / str(pattern)  # of an absolute one, only this remains
            matches = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            found += sorted(each for each in matches if each.is_file())
        return found

    def require_receivers(self, named: Mapping[str, str]) -> None:
        """Refuse a scenario that names receivers which are not there; see the pure function."""
        require_receivers(self.document, named, self.path.name)


def require_playable(path: Path, without: Collection[str]) -> None:
    """Refuse what needs no tool to be seen: no YAML, or nobody who takes what it sends.

    Raises:
        UsageError: one line.
    """
    for component in ("alertmanager", "receiver"):
        if component in without:
            raise UsageError(
                f"--alertmanager needs the {component}: leave --without {component} out"
            )
    read_mapping(path)


def read_own(path: Path, tools: Tools) -> OwnAlertmanager:
    """Read a user's configuration and have amtool check it, templates included.

    Raises:
        UsageError: it can't be used; names file and line, and no value of it.
    """
    document = read_mapping(path)
    done = ask_tool([tools.path("amtool"), "check-config", path])
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"
        failed = _FAILED.search(said)
        reason = " ".join((failed[1] if failed else said).split())
        text = path.read_text(encoding="utf-8")
        raise UsageError(f"{path}{_line(text, reason)}: {_without_secrets(reason)}")
    return OwnAlertmanager(path.resolve(), document)


def read_redirection(layout: RunLayout) -> Redirection | None:
    """What became of the user's configuration in a run; None where the project's was used.

    Raises:
        UsageError: the file is broken.
    """
    try:
        return Redirection.model_validate_json(read_regular(layout.redirection))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{layout.redirection} is broken; play the run again") from error


def _line(text: str, reason: str) -> str:
    """The line of the file that an error is about, as ``:12``: said, or that of what it names."""
    if said := _LINE.search(reason):
        return f":{said[1]}"
    lines = [*enumerate(text.splitlines(), 1)]
    for named in (*_QUOTED.findall(reason), *_KEY.findall(reason)):
        for number, line in reversed(lines):
            if re.search(rf"(?<![\w-]){re.escape(named)}(?![\w-])", line):
                return f":{number}"
    return ""


def _without_secrets(reason: str) -> str:
    return _VALUE.sub("a value", _ADDRESS.sub("(an address)", reason))
