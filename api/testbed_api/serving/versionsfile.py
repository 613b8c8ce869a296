"""Which version has which role, in a file, so that an API that starts anew goes on with it.

The file is of what is configured: where other versions or another share are set, those are what the
API starts from.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.errors import DomainError
from testbed_domain.files import read_regular, write_atomic

from testbed_api.errors import PREFIX, SettingsError

if TYPE_CHECKING:
    from testbed_api.serving.versions import Routing
    from testbed_api.settings import ApiSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VersionRoles:
    """Versions by role, and the challenger's share, as in :class:`.versions.Routing`."""

    champion: Artefact
    challenger: Artefact | None = None
    previous: Artefact | None = None
    split: float = 0.0
    shadow: bool = False

    @property
    def artefacts(self) -> list[Artefact]:
        """Those that are there."""
        return [one for one in (self.champion, self.challenger, self.previous) if one is not None]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Configured(_Part):
    """What the settings say."""

    champion: str
    challenger: str | None
    split: float
    shadow: bool

    @classmethod
    def of(cls, roles: VersionRoles) -> Self:
        challenger = roles.challenger and roles.challenger.version
        return cls(
            champion=roles.champion.version,
            challenger=challenger,
            split=roles.split,
            shadow=roles.shadow,
        )


class _Stored(_Part):
    """What the file says: paths of artefacts by role."""

    configured: _Configured
    champion: Path
    challenger: Path | None
    previous: Path | None
    split: float
    shadow: bool


DAMAGED_SUFFIX: Final = ".damaged"


@dataclass(frozen=True, slots=True)
class VersionsFile:
    """Keeps the roles of versions.

    Attributes:
        path: the file; replicas share it, since they are all changed alike.
        configured: roles as the settings say.
        problems: why what was kept does not count, one sentence each.
    """

    path: Path
    configured: VersionRoles
    problems: list[str] = field(default_factory=list)

    def read(self) -> VersionRoles:
        """The roles to start with: those kept, or the settings' where they can't be used."""
        try:
            stored = _Stored.model_validate_json(read_regular(self.path))
        except FileNotFoundError:
            return self.configured
        except (OSError, ValidationError) as error:
            self._leave_aside(_first_line(error))
            return self.configured
        if stored.configured != _Configured.of(self.configured):
            logger.info("%s is of other settings and left aside", self.path)
            return self.configured
        try:
            return VersionRoles(
                load_artefact(stored.champion),
                _loaded(stored.challenger),
                _loaded(stored.previous),
                stored.split,
                stored.shadow,
            )
        except DomainError as error:
            self._leave_aside(str(error))
            return self.configured

    def _leave_aside(self, reason: str) -> None:
        """Begin as the settings say; the next change replaces the file, a copy of it stays."""
        copy = self.path.with_name(self.path.name + DAMAGED_SUFFIX)
        text = f"{self.path} is left aside: {reason}; a copy is {copy}"
        try:
            shutil.copyfile(self.path, copy)
        except OSError as error:
            text = f"{self.path} is left aside: {reason}; no copy of it: {error.strerror}"
        self.problems.append(text)
        logger.error("%s", text)

    def store(self, routing: Routing) -> None:
        """Write the roles down; what can't be written is said, and costs no change."""
        paths = {role: model.artefact.path.resolve() for role, model in routing.models().items()}
        stored = _Stored(
            configured=_Configured.of(self.configured),
            champion=paths["champion"],
            challenger=paths.get("challenger"),
            previous=paths.get("previous"),
            split=routing.split,
            shadow=routing.shadow,
        )
        try:
            write_atomic(self.path, stored.model_dump_json(indent=1), make_folder=False)
        except OSError as error:
            logger.error(  # noqa: TRY400 - one line
                "cannot write %s, a restart will not know of the change: %s",
                self.path,
                error.strerror,
            )


def starting_roles(
    settings: ApiSettings, champion: Artefact
) -> tuple[VersionRoles, VersionsFile | None]:
    """The roles to start with, and where changes are kept.

    Args:
        settings: of the process.
        champion: the configured one.

    Raises:
        DomainError: the configured challenger can't be used, or the file has no folder.
    """
    configured = VersionRoles(
        champion, _loaded(settings.challenger), None, settings.split, settings.shadow
    )
    if settings.versions_file is None:
        return configured, None
    if not settings.versions_file.parent.is_dir():
        raise SettingsError(
            f"{PREFIX}VERSIONS_FILE: there is no folder {settings.versions_file.parent}"
        )
    file = VersionsFile(settings.versions_file, configured)
    return file.read(), file


def _loaded(path: Path | None) -> Artefact | None:
    return None if path is None else load_artefact(path)


def _first_line(error: OSError | ValidationError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error).splitlines()[0]
