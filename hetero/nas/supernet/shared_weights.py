"""Weight sharing: one set of tensors, from which every point of a search space takes its weights.

A point's network is a plain student, and each of its tensors is a part of a shared one: the leading channels, and the
centre of a larger kernel. Blocks need no code for this, so any block can be searched, including a user's own.

Points with the same kind of block share tensors of equal names at the same place. Thus different widths, depths,
expansions, kernels and activations share weights, with or without squeeze-excite; each kind has its own set, since
kinds put their features in different channels. The paper (CMP-NAS, arXiv 2105.06047) trains a single path one-shot
supernet and leaves open how its weights are shared. In that method (arXiv 1904.00420) every choice of a block,
including each kernel size, has its own weights, and channels are sliced; here kernels are cut from the largest (as in
arXiv 1908.09791, without its learnt transformation), so that every weight is trained in more of the steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.models.backbones.block_catalog import block_class
from hetero.models.config import Stage
from hetero.models.model import EmbeddingModel
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.preprocessing import Preprocessing

_State: TypeAlias = dict[str, nn.Parameter | Tensor]
_Block: TypeAlias = tuple[int, int, int, Stage]
"""The arguments of a block: input and output channels, stride, stage."""


@dataclass(frozen=True)
class Frame:
    """The properties that all points of a supernet share.

    Attributes:
        space: The search space.
        dimension: Dimension of the embeddings: the cloud's.
        preprocessing: Part of every model.
    """

    space: SearchSpace
    dimension: int
    preprocessing: Preprocessing

    def network(self, architecture: Architecture) -> EmbeddingModel:
        """Build a point's network, with new weights."""
        config = self.space.config(architecture, dimension=self.dimension)
        return EmbeddingModel(architecture.digest[:12], config, self.preprocessing)


def part(shared: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a view of a shared tensor: the leading entries of its first two axes, the central ones of the others."""
    for axis, size in enumerate(shape):
        start = (shared.shape[axis] - size) // 2 if axis >= 2 else 0
        shared = shared.narrow(axis, start, size)
    return shared


def parts(network: EmbeddingModel, architecture: Architecture, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the view of the shared tensors for each entry of a network's state.

    Args:
        network: The network that :meth:`Frame.network` builds.
        architecture: The same point.
        shared: The tensors of :func:`shared_tensors`.
    """
    keys = _keys(network, architecture)
    return {name: part(shared[keys[name]], tuple(own.shape)) for name, own in network.state_dict().items()}


def candidate(frame: Frame, architecture: Architecture, shared: Mapping[str, Tensor]) -> EmbeddingModel:
    """Return a point's network with a copy of its weights, in evaluation mode."""
    network = frame.network(architecture)
    with torch.no_grad():
        network.load_state_dict(parts(network, architecture, shared))
    return network.eval()


def shared_tensors(frame: Frame) -> dict[str, nn.Parameter | Tensor]:
    """Create tensors large enough for every point; parameters are ``nn.Parameter``, statistics plain tensors.

    Raises:
        InputError: When a user's own block has a tensor that no choice makes largest on all of its axes.
    """
    shared: dict[str, nn.Parameter | Tensor] = {}
    for kind in frame.space.kind:
        alone = replace(frame, space=replace(frame.space, kind=(kind,)))
        for group, state in itertools.chain(_outside_blocks(alone), _largest_blocks(alone.space)):
            shared |= {_key(kind, group, name): tensor for name, tensor in state.items()}
    return shared


def _outside_blocks(frame: Frame) -> Iterator[tuple[str, _State]]:
    """Yield everything but blocks, of a point with the widest last stage: no other choice affects these parts."""
    space, last = frame.space, len(frame.space.stages) - 1
    widest = max(space.stages[last].channels)
    architecture = space.build(space.values(space.smallest) | {f"{last}.channels": widest})
    network = frame.network(architecture)
    backbone = list(network.backbone.children())
    around = [(name, child) for name, child in network.named_children() if name != "backbone"]
    for name, module in [*around, ("stem", backbone[0]), ("last", backbone[-1])]:
        yield name, module.state_dict(keep_vars=True)


def _largest_blocks(space: SearchSpace) -> Iterator[tuple[str, _State]]:
    """Yield for each place every tensor that a block may have there, as large as any block needs it."""
    for index, stage in enumerate(space.stages):
        for place in range(max(stage.depth)):
            yield f"{index}.{place}", _largest(space.kind[0], index, _blocks_at(space, index, place))


def _largest(kind: str, index: int, blocks: Iterable[_Block]) -> _State:
    owners: dict[str, dict[tuple[int, ...], _Block]] = {}
    for block in blocks:
        with torch.device("meta"):
            state = block_class(kind)(*block).state_dict()
        for name, tensor in state.items():
            owners.setdefault(name, {}).setdefault(tuple(tensor.shape), block)
    largest: _State = {}
    for name, sizes in owners.items():
        most = tuple(map(max, zip(*sizes, strict=False)))
        if most not in sizes or len({len(size) for size in sizes}) > 1:
            raise InputError(
                f"blocks {kind!r} of stage {index} cannot share weights: no choice has {name} at its largest, sizes "
                f"are {sorted(sizes)}; offer fewer options, or name the tensors apart"
            )
        largest[name] = block_class(kind)(*sizes[most]).state_dict(keep_vars=True)[name]
    return largest


def _blocks_at(space: SearchSpace, index: int, place: int) -> Iterator[_Block]:
    """Yield the arguments of every block that may stand at a place."""
    # Activations have no tensors, and points() need not list a block once for each.
    stage = replace(space.stages[index], depth=(1,), activation=space.stages[index].activation[:1])
    before = space.stages[index - 1].channels if index else (space.stem_channels,)
    for choice in stage.points():
        (run,) = stage.runs(choice, space.kind[0])
        for inputs in (choice.channels,) if place else before:
            yield inputs, choice.channels, 1 if place else stage.stride, run


def _keys(network: EmbeddingModel, architecture: Architecture) -> dict[str, str]:
    """Return the key of the shared tensor for each entry of a network's state."""
    modules = list(network.backbone.children())
    groups = {0: "stem", len(modules) - 1: "last"}
    places = [
        f"{index}.{place}" for index, stage in enumerate(architecture.stages) for place in range(len(stage.blocks))
    ]
    groups |= dict(enumerate(places, start=1))
    keys: dict[str, str] = {}
    for name in network.state_dict():
        child, _, local = name.partition(".")
        if child == "backbone":
            position, _, local = local.partition(".")
            child = groups[int(position)]
        keys[name] = _key(architecture.kind, child, local)
    return keys


def _key(kind: str, group: str, name: str) -> str:
    # Torch separates the names of nested modules by points.
    return f"{kind}.{group}.{name}".replace(".", "/")
