"""Finds uses of other projects' private names: those with one leading underscore.

Decided from the source, so some of it is convention: a private attribute of a variable is our own
where the same file defines that name. Only what an overridden method needs to be known of another
project's class is asked of ``base_has``.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Nodes = Sequence[ast.AST]

OWN: Final = re.compile(r"\.|(testbed(_\w+)?|tests)(\.|$)")
# Documented, whatever they begin with: namedtuple's methods, and os._exit.
PUBLIC: Final = frozenset({"_asdict", "_fields", "_field_defaults", "_make", "_replace", "_exit"})
PRIVATE_PATH: Final = re.compile(r"[A-Za-z]\w*(\.\w+)*\._[A-Za-z]\w*(\.\w+)*")
BY_NAME: Final = frozenset({"getattr", "setattr", "delattr", "hasattr"})
SELF: Final = frozenset({"self", "cls"})


class Origin(NamedTuple):
    """Where a name of a module is imported from; no name where it is a module itself."""

    module: str
    name: str = ""

    @property
    def own(self) -> bool:
        """Whether this is ours."""
        return OWN.match(self.module) is not None


def private_names(source: str, base_has: Callable[[Origin, str], bool]) -> set[str]:
    """Private names of other projects in one module.

    Args:
        source: of the module.
        base_has: whether a class of another project has an attribute.

    Returns:
        Modules as they are imported, methods and attributes as ``Base._name`` where the class is
        known and ``._name`` where it isn't, texts that name something private.
    """
    tree = list(ast.walk(ast.parse(source)))  # walked once for all that follows
    imported = _imports(tree)
    return {
        *_imported_private(tree),
        *_texts(tree),
        *_attributes(tree, imported, _defined(tree)),
        *(
            found
            for node in tree
            if isinstance(node, ast.ClassDef)
            for found in _of_class(node, imported, base_has)
        ),
    }


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in {"_", *PUBLIC}


def _imports(tree: Nodes) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for node in tree:
        if isinstance(node, ast.ImportFrom):
            module = _module(node)
            found |= {each.asname or each.name: Origin(module, each.name) for each in node.names}
        elif isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                found[each.asname or first] = Origin(each.name if each.asname else first)
    return found


def _module(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def _imported_private(tree: Nodes) -> Iterator[str]:
    for node in tree:
        if isinstance(node, ast.ImportFrom) and not OWN.match(module := _module(node)):
            if any(map(_private, module.split("."))):
                yield module
            else:
                yield from (f"{module}.{each.name}" for each in node.names if _private(each.name))
        elif isinstance(node, ast.Import):
            names = (each.name for each in node.names if not OWN.match(each.name))
            yield from (name for name in names if any(map(_private, name.split("."))))


def _texts(tree: Nodes) -> Iterator[str]:
    """Names of loggers, targets of patches and the like."""
    for node in tree:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if PRIVATE_PATH.fullmatch(text) and not OWN.match(text):
                yield text


def _defined(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that a module or class defines at any depth, as attributes of ``self`` as well."""
    found: set[str] = set()
    for each in nodes:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(each.name)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            found |= {each.attr} if _is_self(each.value) else set()
    return found


def _attributes(tree: Nodes, imported: dict[str, Origin], defined: set[str]) -> Iterator[str]:
    """Of variables and modules; those of ``self`` and ``super()`` go with their class."""
    for node in tree:
        if isinstance(node, ast.Attribute) and _private(node.attr):
            root: ast.expr = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            name = root.id if isinstance(root, ast.Name) else ""
            if _is_self(node.value) or _is_super(node.value):
                continue
            origin = imported.get(name)
            if node.attr not in defined if origin is None else not origin.own:
                yield f".{node.attr}"
        elif (name := _by_name(node)) and name not in defined:
            yield f".{name}"


def _by_name(node: ast.AST) -> str:
    """The private attribute that ``getattr`` and the like are called for; else empty."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[_, ast.Constant(value=str(name)), *_]):
            return name if function in BY_NAME and _private(name) else ""
    return ""


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in SELF


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def _of_class(
    node: ast.ClassDef, imported: dict[str, Origin], base_has: Callable[[Origin, str], bool]
) -> Iterator[str]:
    """What a class overrides, or uses, of a base of another project."""
    bases = [_origin(base, imported) for base in node.bases]
    foreign = [base for base in bases if base is not None and not base.own]
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and _private(each.name):
            yield from (f"{base.name}.{each.name}" for base in foreign if base_has(base, each.name))
    if not foreign or len(foreign) < len(bases):  # a base of ours may define it
        return
    nodes = list(ast.walk(node))
    defined = _defined(nodes)
    for found in nodes:
        if isinstance(found, ast.Attribute) and _private(found.attr):
            inherited = _is_self(found.value) and found.attr not in defined
            if inherited or _is_super(found.value):
                yield f"{foreign[0].name}.{found.attr}"


def _origin(base: ast.expr, imported: dict[str, Origin]) -> Origin | None:
    """Where a base class comes from; None for one of the same module."""
    if isinstance(base, ast.Subscript):
        base = base.value
    path: list[str] = []
    while isinstance(base, ast.Attribute):
        path.insert(0, base.attr)
        base = base.value
    if not isinstance(base, ast.Name) or base.id not in imported:
        return None
    module, name = imported[base.id]
    *inner, last = [*([name] if name else []), *path]
    return Origin(".".join([module, *inner]), last)
