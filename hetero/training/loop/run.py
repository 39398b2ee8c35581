"""A training run: its directory and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hetero.training.judging.curves import Look


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        directory: Receives checkpoint and log.
        identity: Digest of everything that decides the outcome; a checkpoint of another identity is not continued.
        seed: Fixes batches and augmentation.
        label: Shown beside the progress bar.
        resume: True to continue from a checkpoint.
    """

    directory: Path
    identity: str
    seed: int
    label: str
    resume: bool = True

    @property
    def checkpoint(self) -> Path:
        """Everything that the run needs to continue."""
        return self.directory / "checkpoint.safetensors"

    @property
    def copies(self) -> Path:
        """Vectors of the copies that a live cloud model embedded, which belong to the checkpoint."""
        return self.directory / "copies.f16"

    @property
    def best(self) -> Path:
        """The weights that did best on validation."""
        return self.directory / "best.safetensors"


@dataclass(frozen=True)
class Fitted:
    """The outcome of a run.

    Attributes:
        best: The look at validation whose weights were kept.
        steps: Steps taken.
        advice: Ways to improve the model further, by the curves.
    """

    best: Look
    steps: int
    advice: tuple[str, ...] = ()
