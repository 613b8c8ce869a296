"""Build hook of every member of the workspace (hatchling); members hold links to this file.

A wheel requires the other members at exactly its own version, for they are built and released
together. Files of the checkout that the option ``assets`` names go into the package, below
``_assets``, so that an installed package finds them without a checkout.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MEMBERS: Final = ("testbed-", "ml-observability-testbed")
"""How the names of members begin that others require."""


class MemberHook(BuildHookInterface):
    """See the module."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add to what hatchling builds.

        Args:
            version: ``editable`` for an install that uses the checkout itself, and needs nothing.
            build_data: of hatchling; gets dependencies and files.
        """
        if version == "editable":
            return
        if self.target_name == "wheel":
            own = self.metadata.version
            named = (re.split(r"[^\w-]", each)[0] for each in self.metadata.core.dependencies)
            members = sorted({name for name in named if name.startswith(MEMBERS)})
            build_data["dependencies"] += [f"{name}=={own}" for name in members]
        for asset in self.config.get("assets", ()):
            source = Path(self.root).parent / asset
            # A source distribution has them in the package already.
            if source.exists():
                build_data["force_include"][str(source)] = f"testbed/_assets/{asset}"
