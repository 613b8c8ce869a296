"""What the templates of all pages share.

All is escaped, what turns the direction of writing is written out, and a missing name is an error.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from testbed_domain.direction import readable


def html_environment(package: str, **options: Any) -> Environment:  # noqa: ANN401 - of Jinja
    """The templates of a package.

    Args:
        package: whose folder ``templates`` holds them.
        options: further ones of :class:`jinja2.Environment`.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
