"""Where the runbooks of a run's alerts can be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.resources import root

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.settings import Settings


def runbook_links(settings: Settings) -> Callable[[str], str]:
    """Makes links that open of the relative ones in rules.

    By the setting ``runbooks`` they are addresses below that; else they lead to the file that
    comes with the project, and one that is not among these stays as it is.
    """

    def locate(link: str) -> str:
        if settings.runbooks is not None:
            return f"{settings.runbooks.rstrip('/')}/{link.lstrip('/')}"
        file = root() / link
        return file.resolve().as_uri() if file.is_file() else link

    return locate
