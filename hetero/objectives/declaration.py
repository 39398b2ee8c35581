"""The declaration of an objective: its inputs and options. Needs no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hetero.errors import InputError
from hetero.named import named
from hetero.objectives.config import ObjectiveConfig
from hetero.options import Option, declared_options

Maker = TypeVar("Maker", bound=Callable[..., Any])

HEAD = "head"
"""A maker's parameter of this name receives a :class:`hetero.objectives.head.Head`, and is no option."""


@dataclass(frozen=True)
class Declaration:
    """An objective.

    Attributes:
        home: ``module:name`` of its maker, which is called with the options by name and returns an ``nn.Module``.
        summary: One line, with the paper.
        options: Options by name.
        needs: Keys of :data:`hetero.objectives.inputs.INPUTS`.
        takes_head: True if ``home`` also takes a :class:`hetero.objectives.head.Head`.
        fixed: Further arguments of ``home``.
        maker: The maker itself, where it is imported already.
    """

    home: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    takes_head: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)
    maker: Callable[..., Any] | None = field(default=None, compare=False)

    def make(self, **arguments: Any) -> Any:
        """Call the maker, and return the objective."""
        maker = self.maker or named(self.home)
        return maker(**arguments, **self.fixed)


@dataclass(frozen=True)
class Composite:
    """A name for several objectives, added with equal weight.

    Attributes:
        summary: One line, with the paper.
        parts: The objectives.
    """

    summary: str
    parts: tuple[ObjectiveConfig, ...]


CATALOG: dict[str, Declaration | Composite] = {}
"""All objectives by the names that recipes use; :mod:`hetero.objectives.catalog` fills in those of this package."""


def objective(name: str, summary: str, *, needs: Iterable[str] = ()) -> Callable[[Maker], Maker]:
    """Declare an objective: the decorated class or function makes it, an ``nn.Module`` that is called with a batch.

    The parameters are the options, annotated as :mod:`hetero.options` describes, except for one called ``head``, which
    receives a :class:`hetero.objectives.head.Head`. From then on recipes may use the name.

    Args:
        name: Name in recipes.
        summary: One line, with the paper.
        needs: Names of inputs, see :mod:`hetero.objectives.inputs`.

    Raises:
        InputError: When there is another objective of this name.
    """

    def declare(make: Maker) -> Maker:
        enter(name, replace(declared(make, summary, needs), maker=make))
        return make

    return declare


def declared(make: Callable[..., Any], summary: str, needs: Iterable[str]) -> Declaration:
    """Return the entry of a class or function, from its signature."""
    home, takes_head = f"{make.__module__}:{make.__qualname__}", HEAD in inspect.signature(make).parameters
    return Declaration(home, summary, declared_options(make, given=[HEAD]), frozenset(needs), takes_head)


def enter(name: str, entry: Declaration) -> None:
    """Add an entry to the catalogue, in place of an earlier declaration of the same class or function.

    Raises:
        InputError: When there is another objective of this name.
    """
    earlier = CATALOG.get(name)
    if earlier is not None and not (isinstance(earlier, Declaration) and earlier.home == entry.home):
        raise InputError(f"there is an objective {name!r} already; expected another name")
    CATALOG[name] = entry
