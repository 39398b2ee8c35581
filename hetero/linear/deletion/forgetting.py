"""Forget images that a model was adapted to, with the proof, in a new model directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from hetero.data.images import Dataset
from hetero.files import sha256_bytes, write_json
from hetero.linear.deletion.deletion import Deletion, Method, delete
from hetero.linear.fit import Fit
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import Learnt, Places
from hetero.linear.measure import Adaptation
from hetero.linear.outcome import added, write
from hetero.linear.parts import Divided
from hetero.linear.restored import Restored
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from hetero.schema import parse_file, record

FORGET = "forget.json"
SAMPLE = 256
MOST_APART = 1e-3
"""Of the outputs, unit vectors: a model whose outputs may differ more from the exact one's has not forgotten."""
NOT_FORGOTTEN = (
    "what the model was trained on before it was adapted; the gallery's vectors, which give the targets; the ridge, "
    "which was chosen when the photos were there; files: the photos, their decoded copies in the cache, other models"
)


@record
class Comparison:
    """The written model against one solved anew, by somebody who never saw the images.

    Attributes:
        weights: How far the changes are apart, relative to the second.
        outputs: Largest difference between an output of the one and of the other.
        sample: Images that this was measured on, the forgotten ones first.
    """

    weights: float
    outputs: float
    sample: int


@record
class Forgetting:
    """What was forgotten, and the proof.

    The problem of the images that stay has one solution, which knows nothing of the others. What the written change
    leaves unsolved of that problem bounds how far it is from there (:meth:`hetero.linear.solver.problem.Problem.left`),
    wherever it came from.

    Attributes:
        deleted: SHA-256 of each name that was forgotten, sorted: whoever has a name can tell that it is among them.
        left: Images that are still learnt from.
        method: ``dual`` is exact; ``conjugate gradients`` is as near as ``residual`` says.
        steps: Of conjugate gradients.
        residual: ``|g - H d| / |g|`` of the problem without the images, d as it was written.
        weights: At most so far is d from the exact change, relative to d.
        outputs: At most so far are answers of the images that stay from the exact ones, as the linear model gives them:
            root mean square of the distances.
        compared: With a model solved anew; None where that was not asked for.
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
    compared: Comparison | None = None
    not_forgotten: str = NOT_FORGOTTEN
    schema: Literal["hetero/forgetting/1"] = "hetero/forgetting/1"

    @property
    def refusal(self) -> str:
        """Why this does not count as forgotten; empty when it does."""
        apart = max(self.outputs, self.compared.outputs if self.compared else 0.0)
        if apart <= MOST_APART:
            return ""
        return (
            f"its outputs may differ by {apart:.2g} from those of a model that never saw the photos, more than "
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
    anew: bool = False,
    places: Places | None = None,
) -> tuple[Forgetting, Adaptation]:
    """Write the model that images were never learnt by.

    Of the adaptation, nothing of them is left, as what is left unsolved shows; see :data:`NOT_FORGOTTEN` for what
    stays. As in :func:`hetero.linear.adaptation.adapt` figures decide whether the new model keeps the old space.

    Args:
        directory: What an adaptation, or a forgetting, wrote. It stays as it is.
        names: Of the training images to forget.
        model: The model before it was adapted.
        new: As for the adaptation, the images to forget among them.
        old: As for the adaptation.
        gallery: As for the adaptation.
        out: The new directory. ``forget.json`` in it has the proof; no record in it has the names.
        steps: Most steps of conjugate gradients, where the dual does not fit.
        anew: True to solve once more without the images, from the beginning, and compare.
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
    # Half of it: the recurrence that conjugate gradients end by drifts a little.
    found = delete(problem, gone, again.present(), steps=steps, apart=MOST_APART / 2, seed=left.config.seed, anew=anew)
    rest = found.problem
    written = _written(problem.model, found.solution.change)
    unsolved = float(rest.left(written).norm())
    measured = added(
        parts, _fit(parts, found), again.tests, left.config, images=len(left.photos), anchors=len(old.train)
    )
    proof = Forgetting(
        deleted=tuple(sorted(sha256_bytes(photos.names[row].encode()) for row in gone)),
        left=len(left.photos),
        method=found.method,
        steps=found.solution.steps,
        residual=unsolved / float(rest.gradient.norm()),
        weights=unsolved / rest.ridge / float(written.norm()),
        outputs=unsolved / rest.ridge**0.5,
        compared=_compared(parts, problem, gone, found),
    )
    proof.save(out / FORGET)
    write(out, model, parts.model, measured, left, refused=bool(proof.refusal))
    return proof, measured


def _fit(parts: Divided, found: Deletion) -> Fit:
    """As an adaptation finds it, in the model's own precision."""
    solution = replace(found.solution, change=found.solution.change.float())
    return Fit(Linearised(parts.upper), solution, found.problem.ridge)


def _written(linear: Linearised, change: Tensor) -> Tensor:
    """A change as it is once it was added to weights in float32."""
    weights = linear.joined(linear.weights)
    return (weights.float() + change.float()).to(linear.dtype) - weights


def _compared(parts: Divided, problem: Problem, gone: Sequence[int], found: Deletion) -> Comparison | None:
    """Of a model with the change in its weights."""
    if found.anew is None:
        return None
    sample = torch.cat([problem.inputs[gone], found.problem.inputs])[:SAMPLE]
    written = Linearised(parts.upper).origin(sample).to(problem.model.dtype)
    return Comparison(
        weights=float((found.solution.change - found.anew).norm() / found.anew.norm()),
        outputs=float((written - problem.model.changed(sample, found.anew)).abs().max()),
        sample=len(sample),
    )
