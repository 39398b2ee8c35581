"""Checkpoints: one safetensors file with everything that a run needs to continue, replaced atomically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hetero.errors import IntegrityError
from hetero.files import write_bytes
from hetero.training.judging.curves import Look
from hetero.training.judging.judgement import Judgement


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Attributes:
        identity: Digest of model, data and settings; another digest means another run.
        step: Steps done.
        looks: Looks at validation so far.
        best: The look at the best weights among the candidates; None before the first candidate.
        decay_from: Steps done when the rate of ``steps = "auto"`` began to fall; 0 before.
        agreements: Agreement of each training batch logged since the last look.
    """

    identity: str
    step: int
    looks: tuple[Look, ...] = ()
    best: Look | None = None
    decay_from: int = 0
    agreements: tuple[float, ...] = ()

    def after(self, step: int, judgement: Judgement) -> Progress:
        """Return the progress with one more look at validation."""
        look = Look(step, judgement, mean(self.agreements) if self.agreements else None)
        return replace(self, looks=(*self.looks, look), agreements=())

    @classmethod
    def read(cls, text: str) -> Progress:
        """Read progress from a checkpoint's text."""
        values: dict[str, Any] = json.loads(text)
        values["looks"] = tuple(_look(look) for look in values["looks"])
        values["best"] = None if values["best"] is None else _look(values["best"])
        values["agreements"] = tuple(values["agreements"])
        return cls(**values)

    def written(self) -> str:
        """Return the progress as a checkpoint stores it."""
        return json.dumps(asdict(self))


def _look(values: dict[str, Any]) -> Look:
    return Look(values["step"], Judgement(**values["judgement"]), values["training"])


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    average: nn.Module | None = None,
) -> None:
    """Write weights, their moving average if there is one, optimiser state and progress."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    for index, entries in state.items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in entries.items()}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(contiguous, metadata={"progress": progress.written()}))


def load_checkpoint(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: str,
    *,
    average: nn.Module | None = None,
) -> Progress | None:
    """Restore a checkpoint of the same run.

    Returns:
        The progress restored, or None when there is no checkpoint or it belongs to another run.

    Raises:
        IntegrityError: When the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stream:
            progress = Progress.read(stream.metadata()["progress"])
            if progress.identity != identity:
                return None
            tensors: dict[str, Tensor] = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        module.load_state_dict(_part("module", tensors))
        if average is not None:
            average.load_state_dict(_part("average", tensors))
        _restore(optimizer, _part("optimizer", tensors))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IntegrityError(
            f"{path} is not a readable checkpoint ({error}); remove it to train from the start"
        ) from None
    return progress


def _part(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
