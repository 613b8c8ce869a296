"""Every check by its name: those of this folder, and those of installed packages."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Final

from testbed_domain.registry import Registry

from testbed.checks.results import not_applicable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.checks.case import Case, Check
    from testbed.checks.results import CheckResult
    from testbed.checks.stages import Stage


def _name(check: Check) -> str:
    return str(getattr(check, "__name__", check)).removeprefix("check_")


CHECKS: Final[Registry[Check]] = Registry("testbed.checks", "testbed.checks", _name)


def of_bundled_api(results: Mapping[str, Stage]) -> Callable[[Check], Check]:
    """Mark a check that needs what only the bundled API says of itself.

    Args:
        results: name and stage of what is not applicable to another service.
    """

    def marked(check: Check) -> Check:
        @wraps(check)
        def applied(case: Case) -> tuple[CheckResult, ...]:
            service = case.evidence.run.service
            if service is None:
                return check(case)
            reason = f"the service {service} is not the bundled API, so this is not known of it"
            return tuple(not_applicable(name, stage, reason) for name, stage in results.items())

        return applied

    return marked
