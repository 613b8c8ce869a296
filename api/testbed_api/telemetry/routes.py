"""Which route a path belongs to, known before the request is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from testbed_otel.names import OTHER

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from starlette.routing import BaseRoute

PARAMETER: Final = "{"


class RouteTable:
    """Routes by path: a look-up for fixed paths, a regular expression for each with parameters.

    Args:
        paths: path templates, in the order in which the application tries them.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        templates = list(dict.fromkeys(paths))
        self._fixed = {path: path for path in templates if PARAMETER not in path}
        self._patterns: list[tuple[re.Pattern[str], str]] = [
            (compile_path(path)[0], path) for path in templates if PARAMETER in path
        ]

    def find(self, path: str) -> str:
        """The template, or :data:`OTHER` for a path that no route has."""
        route = self._fixed.get(path)
        if route is not None:
            return route
        for pattern, template in self._patterns:
            if pattern.match(path):
                return template
        return OTHER


def route_table(routes: Iterable[BaseRoute]) -> RouteTable:
    """The table of an application's routes."""
    paths = (getattr(route, "path", None) for route in iter_route_contexts(list(routes)))
    return RouteTable(path for path in paths if path)
