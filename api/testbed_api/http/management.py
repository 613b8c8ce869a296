"""Who may use the management port: any program may look, only who has the token may change."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.callerguard import CallerGuard, refuse
from testbed_domain.callers import FORBIDDEN, READING, Refusal, names_of
from testbed_domain.tokens import ensure_token

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.settings import ApiSettings

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.callerguard import Application, Message, Receive, Send

TOKEN_SETTING: Final = f"{PREFIX}MANAGEMENT_TOKEN_FILE"
NAMES_SETTING: Final = f"{PREFIX}MANAGEMENT_NAMES"
UNAUTHORIZED: Final = 401
SCHEME: Final = b"bearer"


def guarded(app: Application, settings: ApiSettings) -> Application:
    """The management application behind its token and the checks of where a request comes from.

    Raises:
        DomainError: the token's file can't be used.
    """
    path = settings.management_token_file
    token = None if path is None else ensure_token(path)
    return CallerGuard(TokenGuard(app, token), names_of(settings.management_names), NAMES_SETTING)


class TokenGuard:
    """Refuses what changes anything, but for callers that have the token.

    Args:
        app: answers what is let through.
        token: what ``Authorization: Bearer`` must hold; None refuses every change.
    """

    def __init__(self, app: Application, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it unread."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
        elif self._token is None:
            detail = f"Changes need a token: set {TOKEN_SETTING} and start the service again."
            await refuse(send, Refusal(FORBIDDEN, detail))
        elif not _presents(scope, self._token):
            detail = (
                "Changes need the header 'Authorization: Bearer TOKEN', with the token of the "
                f"file that {TOKEN_SETTING} names."
            )
            challenge = ((b"www-authenticate", b"Bearer"),)
            await refuse(send, Refusal(UNAUTHORIZED, detail), challenge)
        else:
            await self._app(scope, receive, send)


def _presents(scope: Message, token: bytes) -> bool:
    values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if len(values) != 1:
        return False
    scheme, _, presented = values[0].partition(b" ")
    # In a time that does not depend on where they differ.
    return scheme.lower() == SCHEME and hmac.compare_digest(presented.strip(), token)


def artefact_folders(settings: ApiSettings, *artefacts: Artefact) -> tuple[Path, ...]:
    """Folders from which ``PUT /models/challenger`` may load: the configured ones.

    By default those in which the artefacts of the settings lie.

    Raises:
        SettingsError: a configured one is not a folder.
    """
    given = [Path(part.strip()) for part in settings.artefact_folders.split(",") if part.strip()]
    if not given:
        return tuple({artefact.path.resolve().parent for artefact in artefacts})
    for folder in given:
        if not folder.is_dir():
            raise SettingsError(f"{PREFIX}ARTEFACT_FOLDERS: {folder} is not a folder")
    return tuple(folder.resolve() for folder in given)


def inside(path: str, folders: tuple[Path, ...]) -> bool:
    """Whether a path, wherever its links lead, lies in one of the folders; reads the disk."""
    try:
        real = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links
        return False
    return any(real.is_relative_to(folder) and real != folder for folder in folders)
