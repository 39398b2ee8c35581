"""The objectives of this package as their files declare them, read without running the files: that would import torch.

Only the signatures run that :func:`hetero.objectives.declaration.objective` decorates. A name that they use is found by
its own import, or by the value that the file gives it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

from hetero.named import named
from hetero.objectives.declaration import HEAD, Entry, declared, objective

_PACKAGE = "hetero.objectives"
_DECORATOR = objective.__name__


def written_objectives() -> dict[str, Entry]:
    """The entries of all files of the package, by the names of the objectives, in alphabetical order."""
    found: dict[str, Entry] = {}
    for file in resources.files(_PACKAGE).iterdir():
        if file.name.endswith(".py") and f"\n@{_DECORATOR}(" in (text := file.read_text(encoding="utf-8")):
            found |= _File(text, f"{_PACKAGE}.{file.name.removesuffix('.py')}").entries
    return dict(sorted(found.items()))


class _File(dict[str, Any]):
    """The names of a file, each looked up when it is asked for."""

    def __init__(self, text: str, module: str) -> None:
        super().__init__({_DECORATOR: self._enter})
        self.entries: dict[str, Entry] = {}
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
                case ast.ImportFrom(module=str(module), names=names) if any(one.name == name for one in names):
                    return named(f"{module}:{name}")
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    return eval(compile(ast.Expression(value), name, "eval"), self._globals, self)
                case _:
                    pass
        raise KeyError(name)  # a builtin


def _declares(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == _DECORATOR


def _signature(node: ast.ClassDef | ast.FunctionDef) -> ast.Module:
    """A function of the same name, parameters and decorators that does nothing."""
    made = node
    if isinstance(node, ast.ClassDef):
        made = next(one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
        del made.args.args[0]
    assert isinstance(made, ast.FunctionDef)
    made.name, made.decorator_list, made.body, made.returns = node.name, node.decorator_list, [ast.Pass()], None
    for place in made.args.args:
        if place.arg == HEAD:
            place.annotation = None
    return ast.fix_missing_locations(ast.Module([made], []))
