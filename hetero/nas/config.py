"""The settings of a recipe that concern architecture search."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from hetero.constraints import Text
from hetero.metrics.choice import MetricName
from hetero.nas.algorithms.algorithm import AlgorithmConfig
from hetero.nas.space.file import space_called
from hetero.nas.space.space import SearchSpace
from hetero.nas.supernet.config import SupernetConfig
from hetero.schema import settings
from hetero.training.config import StudentConfig


@settings
class Tier:
    """A kind of device, for which one student is searched.

    Attributes:
        name: Name of the tier and of its student.
        budget: Limits of the device, for instance ``macs <= cloud/40 and size_mb <= 1``; see
            :mod:`hetero.nas.cost.budget`.
    """

    name: Text
    budget: Text


@settings
class SearchConfig:
    """The architecture search. Nothing is searched unless the recipe names tiers.

    Attributes:
        space: A built-in search space's name, or the path of a TOML file.
        reward: The figure by which a candidate ``a`` is ranked beside the cloud ``g``: ``r1`` = M(a, a), ``r2`` =
            M(a, g), ``r3`` = r1 * r2 (CMP-NAS, arXiv 2105.06047), or the ``cosine`` of their vectors of the same
            images, whose winners were better than those of r2 and r3 (docs/results.md).
        metric: The metric M of the rewards.
        algorithm: The algorithm that proposes candidates.
        supernet: Training of the shared weights by which candidates are judged.
        student: Training of each tier's winner from scratch; its name and architecture are the tier's.
        latency: A latency table (``hetero device latency``), for budgets that limit its quantities.
    """

    space: str = "demo"
    reward: Literal["r1", "r2", "r3", "cosine"] = "cosine"
    metric: MetricName = "map@r"
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    supernet: SupernetConfig = field(default_factory=SupernetConfig)
    student: StudentConfig = field(default_factory=lambda: StudentConfig("student"))
    latency: str = ""

    @property
    def search_space(self) -> SearchSpace:
        """The search space.

        Raises:
            InputError: With every mistake in it.
        """
        return space_called(self.space)
