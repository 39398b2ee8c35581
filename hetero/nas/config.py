"""What a recipe says about architecture search."""

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
        name: Of the tier and of its student.
        budget: What the device can afford, for instance ``macs <= cloud/40 and size_mb <= 1``; see
            :mod:`hetero.nas.cost.budget`.
    """

    name: Text
    budget: Text


@settings
class SearchConfig:
    """How architectures are searched. Nothing is searched unless the recipe names tiers.

    Attributes:
        space: A built-in search space's name, or the path of a TOML file.
        reward: What makes a candidate ``a`` good beside the cloud ``g``: ``r1`` = M(a, a), ``r2`` = M(a, g) and
            ``r3`` = r1 * r2 (CMP-NAS, arXiv 2105.06047), or ``cosine``, of their vectors of the same images, whose
            winners were ahead of those by r2 and r3 (docs/results.md).
        metric: The M.
        algorithm: Who proposes candidates.
        supernet: How the shared weights are trained that candidates are judged by.
        student: How each tier's winner is trained from scratch; its name and architecture are the tier's.
        latency: A latency table (``hetero device latency``), for budgets that limit what it holds.
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
