"""Weights of published networks: safetensors alone, since a pickle runs code when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from hetero.errors import InputError, IntegrityError

_SHOWN = 3


def require_safetensors(path: Path) -> Path:
    """Refuse weights that are missing or of another format.

    Raises:
        InputError: With what to do.
    """
    if not path.is_file():
        raise InputError(f"expected weights (.safetensors) at {path}, found no file")
    if path.suffix != ".safetensors":
        raise InputError(
            f"expected weights as .safetensors, got {path}: other formats are pickles, which can run code when they "
            "are opened, and never are here. Where you trust it, write it anew: "
            f"safetensors.torch.save_file(torch.load({path.name!r}, weights_only=True), '{path.stem}.safetensors')"
        )
    return path


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each weight in a file, from its header alone.

    Raises:
        InputError: When there is no such file, or it is of another format.
        IntegrityError: When it is damaged.
    """
    try:
        with safe_open(require_safetensors(path), "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read as safetensors: {error}") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights.

    Raises:
        InputError: When there is no such file, or it is of another format.
        IntegrityError: When it is damaged.
    """
    try:
        return load_file(require_safetensors(path))
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read as safetensors: {error}") from None


def load_into(network: nn.Module, weights: Mapping[str, Tensor], *, name: str, where: Path) -> None:
    """Load weights that must be those of the network, no fewer and no more.

    Raises:
        InputError: With the weights that do not fit.
    """
    own = network.state_dict()
    problems = [
        f"{len(names)} {what}: {shown(names)}"
        for what, names in (
            ("that the network has and the file lacks", own.keys() - weights.keys()),
            ("that the file has and the network lacks", weights.keys() - own.keys()),
            (
                "of another shape",
                {key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape},
            ),
        )
        if names
    ]
    if problems:
        raise InputError(f"{where} does not hold the weights of {name}:", problems)
    network.load_state_dict(dict(weights))


def shown(names: Iterable[str]) -> str:
    """Return the first of some names, in order."""
    ordered = sorted(names)
    rest = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + rest
