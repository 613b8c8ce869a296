"""Scripts as a page's content security policy names them: by their hashes, so no other one runs."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def script_hash(script: str) -> str:
    """One source of ``script-src``, in its quotes."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def script_hashes(page: str) -> str:
    """The sources of all scripts that stand in a page, with spaces between."""
    return " ".join(map(script_hash, _INLINE.findall(page)))
