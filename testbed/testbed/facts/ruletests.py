"""Whether the shipped rules pass their own promtool tests: a second witness of what they say.

A run's rules are held against the files that they were made of, so a mistake in these is in both.
The tests name labels, texts, limits and times of each alert once more, also of those that a run
does not make fire.

What they say follows from the files and the tool alone, and takes four seconds of the processor.
That they pass is stored in the per-user cache under a hash of these, so only the first run after a
change asks promtool.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from pydantic import ValidationError
from testbed_domain.files import write_atomic

from testbed.charts import StoredModel
from testbed.errors import StackError
from testbed.stack.asking import ask_tool
from testbed.stack.build import cache_folder, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROMTOOL: Final = "promtool"
NICE: Final = "5"
"""Priority below the run's components, and above what the machine does beside the run."""

CACHED: Final = "rule-tests"
"""Folder of the cache."""

SHOWN: Final = 400
"""Characters of what promtool says that are stored."""

_ALERT: Final = re.compile(r"alertname: (?P<alert>[^,\n]+), time: (?P<time>[^,\n]+)")
_PAIR: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class FailedTest(StoredModel):
    """A test that does not pass.

    Attributes:
        name: of the test.
        says: what differs, in words.
    """

    name: str
    says: str


class RuleTests(StoredModel):
    """The tests of the rules.

    Attributes:
        tests: how many there are.
        failed: those that don't pass.
        skipped: why they were not run; empty where they were.
    """

    tests: int = 0
    failed: tuple[FailedTest, ...] = ()
    skipped: str = ""


def read_ruletests(source: Path, rules: Path | None = None) -> RuleTests:
    """Run them with promtool.

    Args:
        source: folder that the configuration was rendered from.
        rules: folder of the user's own rule files; None where they are the source's.

    Raises:
        StackError: promtool can't be run, or takes too long.
    """
    folder = source / "prometheus"
    if rules not in {None, folder / "rules"}:
        return RuleTests(skipped="the run has rule files of its own, which bring no tests")
    files = sorted((folder / "rules_test").glob("*.yml"))
    if not files:
        return RuleTests(skipped=f"{folder / 'rules_test'} holds no tests")
    tools = find()
    if PROMTOOL in tools.missing:
        tools = find(prefer_path=True)
    if PROMTOOL in tools.missing:
        return RuleTests(skipped="promtool is not installed")
    promtool = tools.path(PROMTOOL)
    read = [*files, *sorted((folder / "rules").glob("*.yml"))]
    stored = cache_folder() / CACHED / f"{_hash(promtool, read)}.json"
    try:
        return RuleTests.model_validate_json(stored.read_bytes())
    except (OSError, ValidationError):  # not there, or of an earlier form
        found = _run(promtool, files)
    if found.tests and not found.failed:
        with suppress(OSError):  # then the next run asks again
            write_atomic(stored, found.model_dump_json())
    return found


def _hash(promtool: Path, read: Iterable[Path]) -> str:
    """Of the tool, by its size and time, and of the files that it reads, by name and content."""
    tool = promtool.stat()
    found = hashlib.sha256(f"{promtool} {tool.st_size} {tool.st_mtime_ns}".encode())
    for file in read:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        found.update(f"\n{content} {file.parent.name}/{file.name}".encode())
    return found.hexdigest()


def _run(promtool: Path, files: list[Path]) -> RuleTests:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command: list[str | Path] = [
            "nice",
            "-n",
            NICE,
            promtool,
            "test",
            "rules",
            f"--junit={report}",
            *files,
        ]
        try:
            done = ask_tool(command)
            written = report.read_text(encoding="utf-8") if report.exists() else ""
        except subprocess.TimeoutExpired as error:
            raise StackError(
                f"promtool was not done with the tests of the rules after {error.timeout:g} s: "
                "too much else runs on this machine"
            ) from error
        except OSError as error:
            raise StackError(f"promtool could not test the rules: {error}") from error
    found = parse_report(written)
    if done.returncode and not found.failed:
        says = _short(f"{done.stderr} {done.stdout}")
        found = RuleTests(tests=found.tests, failed=(FailedTest(name="promtool", says=says),))
    return found


def parse_report(text: str) -> RuleTests:
    """Read what promtool writes for ``--junit``; an empty text holds no test."""
    cases = list(ET.fromstring(text).iter("testcase")) if text.strip() else []  # noqa: S314 - written by promtool
    failed = [
        FailedTest(name=case.get("name") or "a test", says=_said("".join(part.itertext())))
        for case in cases
        for part in (*case.findall("failure"), *case.findall("error"))
    ]
    return RuleTests(tests=len(cases), failed=tuple(failed))


def _said(text: str) -> str:
    """What differs, of the first alert that a failure is about."""
    found = _ALERT.search(text)
    if found is None:
        return _short(text)
    expected, _, got = text[found.end() :].partition("got:")
    got = got.partition("alertname:")[0]
    alert, time = found["alert"].strip(), found["time"].strip()
    if "Labels" not in got:
        return f"{alert} does not fire at {time}, as its test wants"
    if "Labels" not in expected:
        return f"{alert} fires at {time}, which its test forbids"
    return f"{alert} at {time}: {'; '.join(_differences(expected, got)) or _short(text)}"


def _differences(expected: str, got: str) -> Iterator[str]:
    """Labels and texts that differ between the first alerts of both."""
    wanted, found = (dict(_PAIR.findall(each)) for each in (expected, got))
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            yield f"{name} is {found.get(name, 'missing')!r}, not {wanted.get(name, 'set')!r}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
