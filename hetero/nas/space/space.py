"""The search space as data: the options for each stage of the edge family.

A point is an :class:`~hetero.nas.space.architecture.Architecture`::

    space = built_in_space("demo")                    # or load_space(path), or SearchSpace(stages=(...))
    rng = np.random.default_rng(0)
    point = space.sample(rng)                         # every choice drawn uniformly
    near = space.mutate(point, rng, rate=0.1)         # each choice drawn anew with this probability
    next_door = space.neighbour(point, rng)           # exactly one choice takes another value
    child = space.crossover(point, near, rng)         # each choice from one of the parents
    point in space, space.size, space.genes           # membership, number of points, the choices by name
    space.values(point), space.build(values)          # a point as choices by name, and back
    space.smallest, space.largest                     # every choice at its first / last option
    config = space.config(point, dimension=128)       # a ModelConfig, to train, export and verify like any other
    Architecture.from_dict(point.to_dict()) == point  # JSON round trip; point.digest names it

Needs no torch. Files are read by :mod:`hetero.nas.space.file`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeVar, cast

import numpy as np

from hetero.errors import InputError
from hetero.models.config import ModelConfig
from hetero.models.stage import Activation
from hetero.nas.space.architecture import Architecture, Block, ChosenStage
from hetero.nas.space.stage_space import OF_BLOCK, OF_STAGE, StageSpace
from hetero.schema import record

Value = int | float | bool | str
T = TypeVar("T")


@record
class SearchSpace:
    """Every network that a search may propose.

    Attributes:
        stages: The stages in order.
        kind: Kinds of block, of which one is chosen for the whole network: see
            :data:`hetero.models.backbones.block_catalog.BLOCKS`.
        stem_channels: Channels of the first convolution; a multiple of 8. It takes the first stage's activation.
        stem_stride: Its stride; 1 keeps detail in small images.
        pool: Pooling, as in :class:`hetero.models.config.ModelConfig`.
    """

    stages: tuple[StageSpace, ...]
    kind: tuple[str, ...] = ("inverted_residual",)
    stem_channels: int = 16
    stem_stride: int = 2
    pool: Literal["gem", "avg"] = "avg"

    @property
    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice with its options, also those of blocks that only the deeper points have.

        ``"kind"`` is the network's, ``"0.channels"`` the first stage's, ``"0.1.kernel"`` that of its second block.
        """
        return self._genes([max(stage.depth) for stage in self.stages])

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.kind) * math.prod(stage.size for stage in self.stages)

    @property
    def smallest(self) -> Architecture:
        """Every choice at its first option."""
        return self.build({gene: options[0] for gene, options in self.genes.items()})

    @property
    def largest(self) -> Architecture:
        """Every choice at its last option."""
        return self.build({gene: options[-1] for gene, options in self.genes.items()})

    def build(self, values: Mapping[str, Value]) -> Architecture:
        """Return the point with these choices; those of blocks that it does not have are ignored.

        Raises:
            InputError: With every choice that is missing or not among its options.
        """
        self._require(values)
        return Architecture(str(values["kind"]), tuple(_chosen(index, values) for index in range(len(self.stages))))

    def values(self, architecture: Architecture) -> dict[str, Value]:
        """Return a point's choices by the names of :attr:`genes`, without those of blocks that it does not have."""
        values: dict[str, Value] = {"kind": architecture.kind}
        for index, stage in enumerate(architecture.stages):
            choices = {"channels": stage.channels, "activation": stage.activation, "depth": len(stage.blocks)}
            values |= {f"{index}.{name}": value for name, value in choices.items()}
            for place, block in enumerate(stage.blocks):
                values |= {f"{index}.{place}.{name}": getattr(block, name) for name in OF_BLOCK}
        return values

    def __contains__(self, architecture: object) -> bool:
        """Return True if an architecture is a point of this space."""
        return isinstance(architecture, Architecture) and not self._problems(self.values(architecture))

    def __iter__(self) -> Iterator[Architecture]:
        """Yield every point; for spaces that are small enough to list."""
        for stages in itertools.product(*(tuple(stage.points()) for stage in self.stages)):
            yield from (Architecture(kind, stages) for kind in self.kind)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw a random point: every choice uniform over its options, hence every depth equally likely."""
        return self.build(self._drawn(rng))

    def mutate(self, architecture: Architecture, rng: np.random.Generator, rate: float) -> Architecture:
        """Draw each choice anew with probability ``rate``; blocks that this adds are drawn, too.

        The result may equal the input.
        """
        fresh, own = self._drawn(rng), self.values(architecture)
        anew = dict(zip(fresh, rng.random(len(fresh)) < rate, strict=True))
        return self.build(fresh | {gene: value for gene, value in own.items() if not anew[gene]})

    def neighbour(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change exactly one choice to another of its options.

        Raises:
            InputError: When the space holds one point only.
        """
        genes, own = self.genes, self.values(architecture)
        free = tuple(gene for gene in own if len(genes[gene]) > 1)
        if not free:
            raise InputError("the search space holds one point only: give a stage a second option somewhere")
        gene = _pick(free, rng)
        options = tuple(option for option in genes[gene] if option != own[gene])
        return self.build(self._drawn(rng) | own | {gene: _pick(options, rng)})

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """Take each choice from either parent; those of a block that only one parent has come from that one."""
        first, second = self.values(one), self.values(other)
        genes = [gene for gene in self.genes if gene in first or gene in second]
        from_first = dict(zip(genes, rng.random(len(genes)) < 0.5, strict=True))
        return self.build(
            {
                gene: first[gene] if gene in first and (from_first[gene] or gene not in second) else second[gene]
                for gene in genes
            }
        )

    def config(self, architecture: Architecture, *, dimension: int = 128) -> ModelConfig:
        """Return the point as an architecture of the edge family, to be trained, exported and verified like any other.

        Args:
            architecture: A point of this space.
            dimension: Dimension of the embedding: the cloud's.

        Raises:
            InputError: When the architecture is not a point of this space.
        """
        self._require(self.values(architecture))
        pairs = zip(self.stages, architecture.stages, strict=True)
        return ModelConfig(
            family="edge",
            dimension=dimension,
            pool=self.pool,
            stem_channels=self.stem_channels,
            stem_stride=self.stem_stride,
            stages=tuple(run for stage, choice in pairs for run in stage.runs(choice, architecture.kind)),
        )

    def _genes(self, depths: Sequence[int]) -> dict[str, tuple[Value, ...]]:
        genes: dict[str, tuple[Value, ...]] = {"kind": self.kind}
        for index, (stage, depth) in enumerate(zip(self.stages, depths, strict=True)):
            genes |= {f"{index}.{name}": getattr(stage, name) for name in OF_STAGE}
            for place in range(depth):
                genes |= {f"{index}.{place}.{name}": getattr(stage, name) for name in OF_BLOCK}
        return genes

    def _drawn(self, rng: np.random.Generator) -> dict[str, Value]:
        return {gene: _pick(options, rng) for gene, options in self.genes.items()}

    def _require(self, values: Mapping[str, Value]) -> None:
        if problems := self._problems(values):
            raise InputError("not a point of the search space:", problems)

    def _problems(self, values: Mapping[str, Value]) -> list[str]:
        depths = [
            int(depth) if (depth := values.get(f"{index}.depth")) in stage.depth else 0
            for index, stage in enumerate(self.stages)
        ]
        problems = [
            f"{gene}: expected one of {list(options)}, got {values.get(gene, 'nothing')!r}"
            for gene, options in self._genes(depths).items()
            if values.get(gene) not in options
        ]
        genes = self.genes
        return problems + [f"{gene}: no such choice in this space" for gene in values if gene not in genes]


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def _chosen(index: int, values: Mapping[str, Value]) -> ChosenStage:
    choices = [
        {name: values[f"{index}.{place}.{name}"] for name in OF_BLOCK} for place in range(int(values[f"{index}.depth"]))
    ]
    blocks = tuple(
        Block(int(block["kernel"]), float(block["expansion"]), bool(block["squeeze_excite"])) for block in choices
    )
    channels, activation = values[f"{index}.channels"], values[f"{index}.activation"]
    return ChosenStage(int(channels), cast("Activation", activation), blocks)
