"""What a use case is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from testbed_domain.features import FeatureSchema, Label, Row
from testbed_domain.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

Sample: TypeAlias = tuple[list[Row], list[Label]]
"""Rows and their labels, of equal length."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A seeded source of rows whose truth is known.

    Attributes:
        sample: draws ``n`` rows and labels, using nothing but the random generator given.
        probability: P(positive class | row) for each row, shape ``[n]``, 0 to 1: the truth itself.
        formula: that truth in words, for artefacts and reports.
        keys: draws ``n`` different ids, where rows have ids; the first one is the example of the
            schema's key.
    """

    sample: Callable[[np.random.Generator, int], Sample]
    probability: Callable[[Sequence[Row]], np.ndarray]
    formula: str
    keys: Callable[[np.random.Generator, int], list[str]] | None = None


@dataclass(frozen=True, slots=True)
class UseCase:
    """One prediction task and where its data may come from.

    Data comes from a file, else from :attr:`generator`, else from :attr:`bundled`; one of the
    last two is always there, so that a use case works without a file and without a network.

    Attributes:
        name: as in ``--use-case``.
        title: for people.
        schema: inputs, target and classes.
        generator: seeded synthetic data, or None.
        bundled: name of the data set inside scikit-learn, or None.
        bundled_options: how its loader is called.
        columns: other names that files use for a column, mapped to the schema's name.
        labels: other spellings that files use for a class, mapped to the class.
    """

    name: str
    title: str
    schema: FeatureSchema
    generator: Generator | None = None
    bundled: str | None = None
    bundled_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    labels: Mapping[str, Label] = field(default_factory=lambda: MappingProxyType({}))


USE_CASES: Final[Registry[UseCase]] = Registry(
    "testbed.use_cases", "testbed_domain.use_cases", lambda use_case: use_case.name
)
"""Every use case by its name: those of this folder, and those of installed packages."""
