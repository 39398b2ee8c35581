"""Gallery stores by address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hetero.errors import InputError
from hetero.gallery.checked import CheckedStore
from hetero.gallery.checks import require_unit_length
from hetero.gallery.engine import Engine
from hetero.named import named
from hetero.space import EmbeddingSpace


@dataclass(frozen=True)
class Address:
    """Where a gallery is, and what it should be.

    Attributes:
        text: The whole address.
        place: What follows the scheme, without options.
        options: What follows a question mark, ``name=value``.
        space: The space of a new gallery; None to open one that exists.
        read_only: True to open an existing gallery without changing it.
    """

    text: str
    place: str
    options: dict[str, str]
    space: EmbeddingSpace | None
    read_only: bool

    def __str__(self) -> str:
        """Return the address as messages may show it."""
        return without_password(self.text)

    @property
    def may_be_made(self) -> bool:
        """True if a new gallery is made where there is none."""
        return self.space is not None and not self.read_only

    def nothing_there(self) -> InputError:
        """Return the error for an address without a gallery."""
        return InputError(f"expected a gallery store at {self}, found none; give a space to make one")

    def require_options(self, **allowed: tuple[str, ...]) -> None:
        """Refuse options, or values of theirs, that are not among the allowed ones."""
        wrong = [f"{name}={value}" for name, value in self.options.items() if value not in allowed.get(name, ())]
        if wrong:
            expected = [f"{name}={' or '.join(values)}" for name, values in allowed.items()] or ["no options"]
            raise InputError(f"{self}: expected {', '.join(expected)}, got {', '.join(wrong)}")


@dataclass(frozen=True)
class Scheme:
    """A kind of gallery store.

    Attributes:
        opener: Import string of the function that opens an address.
        extra: The extra that installs what it needs.
        example: An address.
        in_process: True if the vectors are in the memory of the process that opens it, once for each time.
    """

    opener: str
    extra: str
    example: str
    in_process: bool = False


_OF_POSTGRES = "hetero.gallery.postgres.engine:PostgresEngine"
SCHEMES = {
    "usearch": Scheme("hetero.gallery.embedded.opener:open_engine", "gallery", "usearch:DIRECTORY", in_process=True),
    "lance": Scheme("hetero.gallery.lance.engine:LanceEngine", "lance", "lance:DIRECTORY_OR_URL", in_process=True),
    "postgresql": Scheme(_OF_POSTGRES, "postgres", "postgresql://USER@HOST/DATABASE"),
    "qdrant": Scheme("hetero.gallery.qdrant.engine:QdrantEngine", "qdrant", "qdrant:http://HOST:6333"),
}
"""The first word of an address -> the kind of store."""


def open_gallery(address: str, space: EmbeddingSpace | None = None, *, read_only: bool = False) -> CheckedStore:
    """Open a gallery store, or make a new one.

    Args:
        address: Where it is: ``usearch:DIRECTORY``, ``lance:DIRECTORY_OR_URL``, ``postgresql://USER@HOST/DATABASE`` or
            ``qdrant:http://HOST:6333``.
        space: The space of its vectors. A new gallery needs it; one that exists must serve it.
        read_only: True to open an existing gallery without changing it; several processes may.

    Raises:
        InputError: For an unknown address, a missing package, or a gallery that does not exist when no space is given.
        SpaceMismatchError: When the gallery serves another space.
        IntegrityError: When the gallery is damaged.
    """
    word, colon, rest = address.partition(":")
    scheme = SCHEMES.get(word)
    if scheme is None or not colon or not rest:
        examples = " or ".join(one.example for one in SCHEMES.values())
        raise InputError(f"expected the address of a gallery store, {examples}, got {without_password(address)!r}")
    if space is not None:
        require_unit_length(space)
    place, _, options = rest.partition("?")
    opened = _opened(scheme, Address(address, place, _options(options, address), space, read_only))
    store = CheckedStore(opened, read_only=read_only)
    if space is not None:
        try:
            store.space.require_same(space, this=f"the gallery {without_password(address)}", that="the space asked for")
        except InputError:
            store.close()
            raise
    return store


def without_password(address: str) -> str:
    """Return an address as messages and reports may show it."""
    hidden = re.sub(r"(//[^/@?#]*?:)[^/?#]*(?=@)", r"\1***", address)
    return re.sub(r"([?&]\w*(?:password|key|token|secret)=)[^&#]*", r"\1***", hidden, flags=re.IGNORECASE)


def _options(text: str, address: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split("&")] if text else []
    options = {name: value for name, _, value in parts}
    if len(options) < len(parts) or not all(name and value for name, _, value in parts):
        raise InputError(f"{without_password(address)}: expected options as NAME=VALUE, each once, joined by &")
    return options


def _opened(scheme: Scheme, address: Address) -> Engine:
    opener: Callable[[Address], Engine]
    try:
        opener = named(scheme.opener)
        return opener(address)
    except ImportError as error:
        raise InputError(
            f"{scheme.example} needs a package ({error}); install the extra: pip install 'hetero[{scheme.extra}]'"
        ) from None
