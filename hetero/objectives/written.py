"""The objectives declared in this package's files, read without running the files, since that would import torch.

Only the signatures decorated with :func:`hetero.objectives.declaration.objective` are run. A name in them is resolved
by its own import, or by the value that the file assigns to it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

from hetero.named import named
from hetero.objectives.declaration import HEAD, Declaration, declared, objective

_PACKAGE = "hetero.objectives"
_DECORATOR = objective.__name__


def written_objectives() -> dict[str, Declaration]:
    """Return the entries of all files of the package, by the names of the objectives, in alphabetical order."""
    entries: dict[str, Declaration] = {}
    for file in resources.files(_PACKAGE).iterdir():
        if file.name.endswith(".py") and f"\n@{_DECORATOR}(" in (text := file.read_text(encoding="utf-8")):
            entries |= _File(text, f"{_PACKAGE}.{file.name.removesuffix('.py')}").entries
    return dict(sorted(entries.items()))


class _File(dict[str, Any]):
    """The names of a file, each resolved when it is first used."""

    def __init__(self, text: str, module: str) -> None:
        super().__init__({_DECORATOR: self._enter})
        self.entries: dict[str, Declaration] = {}
        self._body, self._globals = ast.parse(text).body, {"__name__": module}
        for node in self._body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(map(_declares, node.decorator_list)):
                exec(compile(_signature(node), module, "exec", dont_inherit=True), self._globals, self)

    def _enter(self, name: str, summary: str, *, needs: Iterable[str] = ()) -> Callable[[Callable[..., Any]], None]:
        def enter(make: Callable[..., Any]) -> None:
            self.entries[name] = declared(make, summary, needs)

        return enter

    def __missing__(self, name: str) -> Any:
        for node in self._body:
            match node:
                case ast.ImportFrom(module=str(module), names=names) if any(alias.name == name for alias in names):
                    return named(f"{module}:{name}")
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    return eval(compile(ast.Expression(value), name, "eval"), self._globals, self)
                case _:
                    pass
        raise KeyError(name)  # a builtin


def _declares(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == _DECORATOR


def _signature(node: ast.ClassDef | ast.FunctionDef) -> ast.Module:
    """Return a function of the same name, parameters and decorators that does nothing."""
    maker = node
    if isinstance(node, ast.ClassDef):
        maker = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        del maker.args.args[0]
    assert isinstance(maker, ast.FunctionDef)
    maker.name, maker.decorator_list, maker.body, maker.returns = node.name, node.decorator_list, [ast.Pass()], None
    for place in maker.args.args:
        if place.arg == HEAD:
            place.annotation = None
    return ast.fix_missing_locations(ast.Module([maker], []))
