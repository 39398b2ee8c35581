"""The hub's cache on this machine: what was fetched before is found there, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hetero.errors import InputError
from hetero.named import named


def cached_file(repository: str, file: str) -> Path | None:
    """Return the path of a file that ``hf download`` put into the cache; None if it is not there.

    Args:
        repository: Its repository on the hub, ``owner/name``.
        file: Its name there.
    """
    try:
        found: Any = named("huggingface_hub:try_to_load_from_cache")(repository, file)
    except (ImportError, ValueError):  # a name that no repository can have
        return None
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def cached_weights(name: str, repository: str, file: str, *, otherwise: str) -> Path:
    """Return the weights of a network that the hub's cache holds.

    Args:
        name: Name of the network.
        repository: Its repository on the hub; empty if it has none.
        file: Name of its weights there.
        otherwise: Their name where that is none of a safetensors file.

    Raises:
        InputError: When they are not there, with where to put them.
    """
    file = file if file.endswith(".safetensors") else otherwise
    if repository and (cached := cached_file(repository, file)):
        return cached
    there = f", or fetch the published ones where there is a network: hf download {repository} {file}"
    raise InputError(
        f"{name}: its weights are not here, and hetero fetches none. Give them as a .safetensors file (weights in the "
        "recipe's [cloud], --weights of hetero embed, --cloud-weights of hetero student)"
        + (there if repository else "")
    )


@contextmanager
def no_downloads() -> Generator[None]:
    """Let the hub's library fetch nothing in the block, whatever another library asks of it."""
    try:
        constants: Any = named("huggingface_hub.constants")
    except ImportError:
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
