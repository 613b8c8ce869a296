"""Things of one kind by name: those of the project, and those that installed packages add.

A package adds one by an entry point, whose value is the class (or function) itself, or a module
that registers it when it is imported::

    [project.entry-points."testbed.faults"]
    frozen-disk = "my_package.faults:FrozenDisk"
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to what bears them; it loads everything when it is first read.

    Args:
        group: entry point group, for example ``testbed.faults``.
        package: name of the package whose modules register the project's own.
        name_of: gives the name of what is registered.
    """

    def __init__(self, group: str, package: str, name_of: Callable[[T], str]) -> None:
        self.group = group
        self._package = package
        self._name_of = name_of
        self._found: dict[str, T] = {}
        self._loaded = False

    def register(self, item: T) -> T:
        """Add one; a decorator.

        Raises:
            DomainError: another one bears its name.
        """
        name = self._name_of(item)
        other = self._found.setdefault(name, item)
        if other is not item:
            raise DomainError(
                f"{self.group}: {_origin(item)} takes the name {name!r}, which {_origin(other)} has"
            )
        return item

    def __getitem__(self, name: str) -> T:
        """The one of this name.

        Raises:
            KeyError: there is none.
            DomainError: a module or an entry point can't be loaded.
        """
        self._load()
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        """The names, sorted: which module happened to be imported first says nothing."""
        self._load()
        return iter(sorted(self._found))

    def __len__(self) -> int:
        self._load()
        return len(self._found)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before all else: what is loaded may read the registry
        try:
            self._load_all()
        except BaseException:
            self._loaded = False
            raise

    def _load_all(self) -> None:
        for name in modules_of(self._package):
            import_module(name)
        for point in entry_points(group=self.group):
            try:
                item: Any = point.load()
            except Exception as error:  # whatever a foreign module raises
                reason = " ".join(str(error).split()) or type(error).__name__
                whose = point.dist.name if point.dist else "a package"
                raise DomainError(
                    f"{self.group}: {point.name} of {whose} can't be loaded: {reason}"
                ) from error
            if not isinstance(item, ModuleType):
                self.register(item)


def modules_of(package: str) -> tuple[str, ...]:
    """Full names of the public modules right in a package's folder, sorted."""
    found = pkgutil.iter_modules(import_module(package).__path__, f"{package}.")
    names = (module.name for module in found)
    return tuple(sorted(name for name in names if not name.rpartition(".")[2].startswith("_")))


def kind_of(model: Any) -> str:  # noqa: ANN401 - a class of pydantic, which this package lacks
    """Name of a model in a registry of kinds: the default of its field ``kind``."""
    return str(model.model_fields["kind"].default)


def _origin(item: object) -> str:
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', item)}"
