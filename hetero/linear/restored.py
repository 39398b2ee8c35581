"""The problem that an adaptation solved, restored from its record and the data, if nothing has changed since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.data.images import Dataset, ImageSet
from hetero.data.subset import with_rows
from hetero.linear.anchoring import read_anchor_factors
from hetero.linear.gallery import OldGallery
from hetero.linear.learnt import Learnt
from hetero.linear.outcome import Test, tests_of
from hetero.linear.parts import Divided
from hetero.linear.solver.dual import fits
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Preconditioner
from hetero.linear.stated import stated
from hetero.linear.suited import suited
from hetero.models.directory import load_model


@dataclass(frozen=True)
class Restored:
    """An adaptation, ready to be solved again.

    Attributes:
        directory: Directory that the adaptation wrote.
        learnt: Its record of the training data.
        parts: The model before.
        photos: The new training images, prepared for that model.
        tests: Tests of the new domain, and of the old one.
        problem: The problem, in float64 where the dual fits, otherwise in float32.
    """

    directory: Path
    learnt: Learnt
    parts: Divided
    photos: ImageSet
    tests: tuple[Test, Test]
    problem: Problem

    @classmethod
    def of(
        cls,
        directory: Path,
        model: Path,
        new: Dataset,
        old: Dataset,
        gallery: OldGallery,
        out: Path | None = None,
        anchor_factors: Path | None = None,
    ) -> Restored:
        """Check that no input has changed, and state the problem.

        Args:
            directory: Directory that the adaptation wrote.
            model: The model before.
            new: As for the adaptation; training images added since are left out.
            old: As for the adaptation.
            gallery: As for the adaptation.
            out: Directory that another model will be written to, which must not hold one yet; None if none will.
            anchor_factors: As for the adaptation.

        Raises:
            InputError: When the record is missing, or an input has changed.
            SpaceMismatchError: When the gallery is of another space than the model.
        """
        learnt = Learnt.load(directory)
        config = learnt.config
        parts = suited(model, gallery, out, config.part)
        new, old = (data.prepared_by(parts.model.preprocessing) for data in (new, old))
        photos = with_rows(new.train, learnt.rows(model, new.train, old.train, gallery, anchor_factors))
        tests = tests_of(new, old, gallery)
        held = read_anchor_factors(anchor_factors, parts)
        problem = stated(parts, photos, old.train, gallery, config, held)
        exact = replace(problem, model=Linearised(parts.upper, dtype=torch.float64))
        problem = exact if fits(exact) else problem
        return cls(directory, learnt, parts, photos, tests, problem)

    @cached_property
    def precondition(self) -> Preconditioner:
        """Approximate inverse for the problem's ridge, computed once."""
        return kronecker(self.problem, seed=self.learnt.config.seed)(self.problem.ridge)

    def present(self) -> Float[Tensor, " p"] | None:
        """Return the present change of the adapted model's weights; None where no model was written."""
        if not (self.directory / "config.json").exists():
            return None
        linear = self.problem.model
        parameters = load_model(self.directory).named_parameters()
        weights = {name: value.detach().to(linear.dtype) for name, value in parameters}
        return linear.joined(weights) - linear.joined(linear.weights)
