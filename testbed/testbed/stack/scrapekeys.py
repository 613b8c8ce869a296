"""Headers that Prometheus sends with its scrapes, as a service that wants a key needs them.

Prometheus reads them from files at each scrape (``http_headers``, ``authorization`` and
``basic_auth`` of a scrape job), so that no key stands in its configuration. The files are their
owner's alone, and are there for as long as the stack runs.
"""

from __future__ import annotations

import base64
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.files import write_atomic
from testbed_load.errors import LoadError
from testbed_load.headertemplates import FilledHeaders

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from testbed_rules.timescale import Tree

_AUTHORIZATION: Final = "authorization"
_BASIC: Final = "basic"
_SCHEMES: Final = frozenset({"bearer", _BASIC})
"""What a variable that holds all of ``Authorization`` may begin with."""

_PROMETHEUS: Final = frozenset(
    {
        *("accept-encoding", "content-encoding", "content-length", "content-type", "host"),
        *("accept", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        "trailer",
        *("user-agent", "www-authenticate", "x-amz-content-sha256", "x-amz-date"),
        *("x-amz-security-token", "x-prometheus-remote-read-version"),
        *("x-prometheus-remote-write-version", "x-prometheus-scrape-timeout-seconds"),
    }
)
"""Headers that its configuration refuses, or that it sends otherwise; ``Authorization`` has
settings of its own there."""


def unscrapable(name: str, value: str) -> str | None:
    """Why Prometheus can't send a header with its scrapes; None where it can."""
    if name.lower() in _PROMETHEUS:
        return "is set by Prometheus, which asks for the pages of metrics"
    return "holds {id}, and a scrape is no request of the load" if "{id}" in value else None


class ScrapeKeys:
    """The headers of scrape jobs, with the variables of the environment in them.

    Args:
        headers: name of a job to templates of its headers.
        variables: what these may ask for.
        folder: of the files, which :meth:`written` makes and removes.

    Raises:
        UsageError: a variable is not set, or Prometheus can't send what it holds; never shows it.
    """

    def __init__(
        self,
        headers: Mapping[str, Mapping[str, str]],
        variables: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._folder = folder
        self._files: dict[Path, str] = {}
        self._settings: dict[str, Tree] = {}
        for job, templates in headers.items():
            try:
                filled = FilledHeaders(templates, variables).of("")
                self._settings[job] = self._of_job(templates, filled)
            except (LoadError, UsageError) as error:
                raise UsageError(f"the page of metrics of the job {job}: {error}") from None

    def in_jobs(self, jobs: Iterable[Tree]) -> tuple[Tree, ...]:
        """Scrape jobs with what sends their headers."""
        return tuple(job | self._settings.get(job["job_name"], {}) for job in jobs)

    @contextmanager
    def written(self) -> Iterator[None]:
        """The files are there."""
        if not self._files:
            yield
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            for path, content in self._files.items():
                write_atomic(path, content, mode=0o600)
            yield
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _of_job(self, templates: Mapping[str, str], headers: Mapping[str, str]) -> Tree:
        # Prometheus would send them wherever the service redirects it to.
        found: Tree = {"follow_redirects": False} if headers else {}
        for template, (name, value) in zip(templates.values(), headers.items(), strict=True):
            if name.lower() == _AUTHORIZATION:
                found |= self._authorization(template, value)
            else:
                found.setdefault("http_headers", {})[name] = {"files": [self._file(value)]}
        return found

    def _authorization(self, template: str, value: str) -> Tree:
        scheme, _, credentials = value.partition(" ")
        # The scheme stands in the configuration, so it must be none of a key's words.
        known = template.startswith(f"{scheme} ") or scheme.lower() in _SCHEMES
        if not credentials.strip() or not known:
            raise UsageError(
                "Prometheus sends the header Authorization with a scheme only: write it as "
                "'Bearer ${KEY}'"
            )
        if scheme.lower() != _BASIC:
            secret = {"type": scheme, "credentials_file": self._file(credentials.strip())}
            return {"authorization": secret}
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode()
        except ValueError:
            decoded = ""
        user, colon, password = decoded.partition(":")
        if not colon or (user, password) != (user.strip(), password.strip()):
            raise UsageError(
                "the header Authorization: Basic wants the base64 of user:password, in UTF-8 and "
                "without blanks around either"
            )
        files = {"username_file": self._file(user), "password_file": self._file(password)}
        return {"basic_auth": files}

    def _file(self, content: str) -> str:
        path = self._folder / str(len(self._files))
        self._files[path] = content
        return os.fspath(path.absolute())


def scrapable(
    headers: Mapping[str, str], variables: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Templates of headers that Prometheus can send, and why it can send none, where it can't."""
    found = {name: value for name, value in headers.items() if unscrapable(name, value) is None}
    try:
        ScrapeKeys({"": found}, variables, Path())
    except UsageError as error:
        return {}, str(error).partition(": ")[2]
    if headers and not found:
        return {}, "Prometheus can send none of the headers that were given"
    return found, ""
