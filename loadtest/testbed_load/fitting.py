"""Whether a service's templates fit the rows that it is to be sent; pure, and without secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from testbed_load.exchange import ServiceExchange, TemplateExchange
from testbed_load.headertemplates import variables_in

if TYPE_CHECKING:
    from testbed_domain.features import FeatureSchema

_ANY: Final = "x"


def require_templates(wanted: ServiceExchange, schema: FeatureSchema) -> None:
    """Require that all they ask for is there, but for variables and examples.

    Those are known once the service is asked.

    Raises:
        LoadError: they ask for a column that the rows lack, or name a class that is none.
    """
    variables = dict.fromkeys(variables_in(wanted.request.headers), _ANY)
    TemplateExchange(replace(wanted, examples=wanted.examples or (_ANY,)), schema, variables)
