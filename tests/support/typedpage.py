"""A page of the documentation, typed into a shell as it stands."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.polling import PATIENCE, wait_for
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCS: Final = Path(__file__).parents[2] / "docs"
SERVING: Final = "ready: predictions on"
_COMMAND: Final = re.compile(r"(?:\w+=\S+ )*(?:\.venv/bin/)?(?:testbed|tools/flow)(?: |$)")
_VARIABLE: Final = re.compile(r"(\w+)=(\S+) ")
_START: Final = re.compile(r"^(?:\w+=\S+ )*testbed serve\b.*$", re.MULTILINE)


def blocks_of(page: str, *languages: str) -> list[str]:
    """What stands between fences of these languages in a page below ``docs``."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for language, body in FENCE.findall(text) if language in languages]


def spans_of(page: str) -> list[str]:
    """What stands as code within the lines of a page below ``docs``."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", text))


def typed_in(page: str, part: str, replaced: Mapping[str, str] | None = None) -> list[str]:
    """The words of the one command of a page that holds a text, without the program's name.

    For tests that play what a page describes in a place of their own: the command stays the page's.

    Args:
        page: below ``docs``.
        part: of the command; the first that holds it is meant.
        replaced: words of it to what a reader would write in their place, as names of files.
    """
    words = shlex.split(_COMMAND.sub("", _line_of(page, part)), comments=True)
    own = replaced or {}
    assert own.keys() <= set(words), f"{page}: {words} has other words than {list(own)}"
    return [own.get(word, word) for word in words]


def variables_in(page: str, part: str) -> dict[str, str]:
    """The variables that stand before the command that :func:`typed_in` finds."""
    found = _COMMAND.match(_line_of(page, part))
    return dict(_VARIABLE.findall(found[0])) if found else {}


def _line_of(page: str, part: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines: list[str] = [line for _, body in FENCE.findall(text) for line in body.splitlines()]
    found = [line for line in (*lines, *spans_of(page)) if _COMMAND.match(line) and part in line]
    assert found, f"{page} has no command with {part!r}"
    return found[0]


class TypedPage:
    """Types commands in a folder of its own; the usual ports are free ones there.

    Args:
        page: file of the page.
        folder: where its commands are typed.
    """

    def __init__(self, page: Path, folder: Path) -> None:
        self.folder = folder
        self.text = page.read_text(encoding="utf-8")
        self._ports = {"8000": str(free_port()), "9464": str(free_port())}
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TESTBED_", "OTEL_", "PREFECT_"))
        }
        programs = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
        self._environment = clean | {"PATH": programs, "COLUMNS": "160"}

    def blocks(self, *languages: str) -> list[str]:
        """What stands between fences of these languages; by default commands and plain output."""
        wanted = languages or ("", "sh")
        return [body for language, body in FENCE.findall(self.text) if language in wanted]

    def block(self, part: str) -> str:
        """The one block of commands that holds a text; fails where there is none, or several."""
        (found,) = [body for body in self.blocks() if part in body]
        return found

    def type(self, commands: str, replaced: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Type commands, and return the last one's exit code and what all printed.

        Args:
            commands: of the page.
            replaced: what a reader would write in place of the page's own, as ids.
        """
        for old, new in (replaced or {}).items():
            assert old in commands
            commands = commands.replace(old, new)
        done = subprocess.run(
            ["bash", "-c", self._local(commands)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    @contextlib.contextmanager
    def serving(self, commands: str) -> Iterator[str]:
        """Start the service as a block does; gives what the block types besides.

        The service is interrupted in the end, as by Ctrl-C, and must end well.
        """
        (start,) = _START.findall(commands)
        log = self.folder / "serve.log"
        with (
            log.open("w") as output,
            subprocess.Popen(
                ["bash", "-c", f"exec {self._variables_first(self._local(start))}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                wait_for(lambda: SERVING in log.read_text(), 120, log.read_text, process)
                yield commands.replace(start, "")
            finally:
                process.send_signal(signal.SIGINT)
                code = process.wait(PATIENCE)
        assert code == 0, log.read_text()

    def _local(self, commands: str) -> str:
        """The commands with this page's ports, of which loads and services must be told."""
        port, management = self._ports["8000"], self._ports["9464"]
        commands = re.sub(r"(?<=127\.0\.0\.1:)8000\b", port, commands)
        commands = re.sub(r"(?<=127\.0\.0\.1:)9464\b", management, commands)
        given = f"testbed serve --port {port} --management-port {management}"
        commands = re.sub(r"testbed serve\b", given, commands)
        host = rf"\1 --host http://127.0.0.1:{port}"
        return re.sub(r"^(testbed load (?!.*--host).*)$", host, commands, flags=re.MULTILINE)

    @staticmethod
    def _variables_first(command: str) -> str:
        return f"env {command}"
