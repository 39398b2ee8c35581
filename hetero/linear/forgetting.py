"""Forget images that a model was adapted to: exactly, with the proof, in a new model directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from hetero.data.images import Dataset
from hetero.files import sha256_bytes, write_json
from hetero.linear.deletion import Deletion, Method, delete
from hetero.linear.fit import Fit
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import Learnt, Places
from hetero.linear.linearised import Linearised
from hetero.linear.measure import Adaptation
from hetero.linear.outcome import added, write
from hetero.linear.parts import Divided
from hetero.linear.restored import Restored
from hetero.schema import parse_file, record

FORGET = "forget.json"
SAMPLE = 256
MOST_APART = 1e-3
"""Of the outputs, unit vectors: a model whose outputs differ more from one solved anew has not forgotten."""
NOT_FORGOTTEN = (
    "what the model was trained on before it was adapted; the gallery's vectors, which give the targets; the ridge, "
    "which was chosen when the photos were there; files: the photos, their decoded copies in the cache, other models"
)


@record
class Forgetting:
    """What was forgotten, and the proof.

    Attributes:
        deleted: SHA-256 of each name that was forgotten, sorted: whoever has a name can tell that it is among them.
        left: Images that are still learnt from.
        method: ``dual`` is exact; ``conjugate gradients`` is as near as ``residual`` says.
        steps: Of conjugate gradients.
        residual: ``|g - H d| / |g|`` of the problem without the images.
        weights: How far the change is from one solved anew without the images, relative to that.
        outputs: Largest difference between an output of the written model and of the model solved anew.
        sample: Images that this was measured on, the forgotten ones first.
        not_forgotten: What this does not reach.
        schema: Version of this record.
    """

    deleted: tuple[str, ...]
    left: int
    method: Method
    steps: int
    residual: float
    weights: float
    outputs: float
    sample: int
    not_forgotten: str = NOT_FORGOTTEN
    schema: Literal["hetero/forgetting/1"] = "hetero/forgetting/1"

    @property
    def refusal(self) -> str:
        """Why this does not count as forgotten; empty when it does."""
        if self.outputs <= MOST_APART:
            return ""
        return (
            f"its outputs differ by {self.outputs:.2g} from a model solved anew without the photos, more than "
            f"{MOST_APART:g}: allow more steps"
        )

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Forgetting:
        """Read a record.

        Raises:
            IntegrityError: When it is not one.
        """
        return parse_file(cls, path)


def forget(
    directory: Path,
    names: Sequence[str],
    model: Path,
    new: Dataset,
    old: Dataset,
    gallery: OldGallery,
    out: Path,
    *,
    steps: int = 500,
    places: Places | None = None,
) -> tuple[Forgetting, Adaptation]:
    """Write the model that images were never learnt by.

    Of the adaptation, nothing of them is left, as a comparison with solving anew shows; see :data:`NOT_FORGOTTEN` for
    what stays. As in :func:`hetero.linear.adaptation.adapt` figures decide whether the new model keeps the old space.

    Args:
        directory: What an adaptation, or a forgetting, wrote. It stays as it is.
        names: Of the training images to forget.
        model: The model before it was adapted.
        new: As for the adaptation, the images to forget among them.
        old: As for the adaptation.
        gallery: As for the adaptation.
        out: The new directory. ``forget.json`` in it has the proof; no record in it has the names.
        steps: Most steps of conjugate gradients, where the dual does not fit.
        places: Where everything lies now.

    Returns:
        The proof, and the figures of the new model, which was written if neither has a refusal.

    Raises:
        InputError: When names are unknown, all images would go, or anything is not what it was.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    Learnt.load(directory).require_some(names)
    again = Restored.of(directory, model, new, old, gallery, out)
    parts, problem, photos = again.parts, again.problem, again.photos
    left = replace(again.learnt.without(names), places=places)
    gone = [photos.names.index(name) for name in dict.fromkeys(names)]
    found = delete(problem, gone, again.present(), steps=steps, seed=left.config.seed)
    measured = added(
        parts, _fit(parts, found), again.tests, left.config, images=len(left.photos), anchors=len(old.train)
    )
    sample = torch.cat([problem.inputs[gone], found.problem.inputs])[:SAMPLE]
    proof = Forgetting(
        deleted=tuple(sorted(sha256_bytes(photos.names[row].encode()) for row in gone)),
        left=len(left.photos),
        method=found.method,
        steps=found.solution.steps,
        residual=found.solution.residual,
        weights=found.apart,
        outputs=_largest_difference(parts, problem.model, sample, found.anew),
        sample=len(sample),
    )
    proof.save(out / FORGET)
    write(out, model, parts.model, measured, left, refused=bool(proof.refusal))
    return proof, measured


def _fit(parts: Divided, found: Deletion) -> Fit:
    """As an adaptation finds it, in the model's own precision."""
    solution = replace(found.solution, change=found.solution.change.float())
    return Fit(Linearised(parts.upper), solution, found.problem.ridge)


def _largest_difference(parts: Divided, linear: Linearised, sample: Tensor, anew: Tensor) -> float:
    written = Linearised(parts.upper).origin(sample).to(linear.dtype)
    return float((written - linear.changed(sample, anew)).abs().max())
