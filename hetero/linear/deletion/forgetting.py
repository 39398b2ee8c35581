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
"""Largest difference of outputs, unit vectors, from the exact model's at which images count as forgotten."""
NOT_FORGOTTEN = (
    "what the model was trained on before it was adapted; the gallery's vectors, which give the targets; the ridge, "
    "which was chosen when the photos were there; files: the photos, their decoded copies in the cache, other models"
)


@record
class Comparison:
    """The written model compared with one solved anew without the images.

    Attributes:
        weights: Distance of the two changes, relative to the second.
        outputs: Largest difference between an output of the one and of the other.
        sample: Number of images in the comparison, the forgotten ones first.
    """

    weights: float
    outputs: float
    sample: int


@record
class Forgetting:
    """The forgotten images, and the proof.

    A change that was solved anew was computed from the images that stay alone. The problem of these has one solution,
    which does not depend on the others; the residual of the written change bounds its distance from that solution
    (:meth:`hetero.linear.solver.problem.Problem.apart`), however it was found.

    Attributes:
        deleted: SHA-256 of each forgotten name, sorted: anyone who has a name can check that it is among them.
        left: Number of images that remain in the adaptation.
        method: ``anew`` never used the images; ``dual`` is exact; ``conjugate gradients``, from the model as it was, is
            as close as ``residual`` shows.
        steps: Steps of conjugate gradients.
        residual: ``|g - H d| / |g|`` of the problem without the images, d as it was written.
        weights: Upper bound on the distance of d from the one solution, relative to d. Solved anew, it is as large as
            an adaptation's, which stops as early, and nothing of the images is in it.
        outputs: Upper bound on the distance of the remaining images' outputs from those of the one solution, in the
            linear model: root mean square of the distances.
        compared: Comparison with a model solved anew; None if not requested.
        not_forgotten: The data that forgetting does not reach.
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
        """Reason that the images do not count as forgotten; empty when they do."""
        apart = max(self.outputs, self.compared.outputs if self.compared else 0.0)
        if apart <= MOST_APART or self.method == "anew":
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
            IntegrityError: When the file is not a record.
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
    steps: int | None = None,
    anew: bool = False,
    places: Places | None = None,
    anchor_factors: Path | None = None,
) -> tuple[Forgetting, Adaptation]:
    """Write the model that never learnt from some images.

    Where the dual does not fit, the problem is solved anew without them, as by :func:`hetero.linear.adaptation.adapt`
    with the ridge that it chose; or, if ``steps`` says so, solved on from the present model until the residual proves
    that no trace is left. :data:`NOT_FORGOTTEN` lists where the images may remain. As in
    :func:`hetero.linear.adaptation.adapt` figures decide whether the new model keeps the old space.

    Args:
        directory: Directory that an adaptation, or a forgetting, wrote. It stays as it is.
        names: Names of the training images to forget.
        model: The model before it was adapted.
        new: As for the adaptation, including the images to forget.
        old: As for the adaptation.
        gallery: As for the adaptation.
        out: The new directory. ``forget.json`` in it has the proof; no record in it has the names.
        steps: Most steps from the present model to the one solution; None to solve anew, by as many steps as the
            adaptation was allowed.
        anew: True to solve once more without the images, from the beginning, and compare.
        places: Present paths of all inputs.
        anchor_factors: As for the adaptation.

    Returns:
        The proof, and the figures of the new model, which was written if neither has a refusal.

    Raises:
        InputError: When names are unknown, no image would remain, or an input has changed.
        SpaceMismatchError: When the gallery is of another space than the model.
    """
    Learnt.load(directory).require_some(names)
    again = Restored.of(directory, model, new, old, gallery, out, anchor_factors)
    parts, problem, photos = again.parts, again.problem, again.photos
    learnt = replace(again.learnt.without(names), places=places)
    rows = [photos.names.index(name) for name in dict.fromkeys(names)]
    # Half of it, because the residual by which conjugate gradients stop drifts a little.
    apart, seed = MOST_APART / 2, learnt.config.seed
    start, most = (None, learnt.config.steps) if steps is None else (again.present(), steps)
    deletion = delete(problem, rows, start, steps=most, apart=apart, seed=seed, anew=anew)
    rest = deletion.problem
    change = _written(problem.model, deletion.solution.change)
    residual = float(rest.left(change).norm())
    weights, outputs = rest.apart(residual)
    solved = _fit(parts, deletion)
    adaptation = added(parts, solved, again.tests, learnt.config)
    proof = Forgetting(
        deleted=tuple(sorted(sha256_bytes(photos.names[row].encode()) for row in rows)),
        left=len(learnt.photos),
        method=deletion.method,
        steps=deletion.solution.steps,
        residual=residual / float(rest.gradient.norm()),
        weights=weights / float(change.norm()),
        outputs=outputs,
        compared=_comparison(parts, problem, rows, deletion),
    )
    proof.save(out / FORGET)
    write(out, model, parts.model, adaptation, learnt, refused=bool(proof.refusal))
    return proof, adaptation


def _fit(parts: Divided, deletion: Deletion) -> Fit:
    """Return the solution in the form of an adaptation's, in the model's own precision."""
    solution = replace(deletion.solution, change=deletion.solution.change.float())
    return Fit(replace(deletion.problem, model=Linearised(parts.upper)), solution)


def _written(linear: Linearised, change: Tensor) -> Tensor:
    """Return a change as it is after rounding, once added to weights in float32."""
    weights = linear.joined(linear.weights)
    return (weights.float() + change.float()).to(linear.dtype) - weights


def _comparison(parts: Divided, problem: Problem, rows: Sequence[int], deletion: Deletion) -> Comparison | None:
    """Compare a model that has the change in its weights with the solution from the beginning, if there is one."""
    anew = deletion.anew
    if anew is None:
        return None
    sample = torch.cat([problem.inputs[rows], deletion.problem.inputs])[:SAMPLE]
    outputs = Linearised(parts.upper).origin(sample).to(problem.model.dtype)
    return Comparison(
        weights=float((deletion.solution.change - anew).norm() / anew.norm()),
        outputs=float((outputs - problem.model.changed(sample, anew)).abs().max()),
        sample=len(sample),
    )
