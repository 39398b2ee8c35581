"""Weight sharing: one set of tensors, from which every point of a search space takes its weights.

A point's network is a plain student, and each of its tensors is a part of a shared one: the leading channels, and of a
larger kernel the centre. No block knows about it, so any block can be searched, also a user's own.

Which points share: those of one kind of block, tensors of equal names at the same place. Thus widths, depths,
expansions, kernels and activations share, also with and without squeeze-excite; each kind has a set of its own, since
kinds leave their features in different channels. The paper (CMP-NAS, arXiv 2105.06047) trains a single path one-shot
supernet and leaves open how its weights are shared. In that method (arXiv 1904.00420) every choice of a block has
weights of its own, also each kernel size, and channels are sliced; kernels are cut from the largest here (as in arXiv
1908.09791, without its learnt transformation), so that every weight is trained in more of the steps.
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
"""What a block is made with."""


@dataclass(frozen=True)
class Frame:
    """What all points of a supernet have in common.

    Attributes:
        space: The points.
        dimension: Of their embeddings: the cloud's.
        preprocessing: Part of every model.
    """

    space: SearchSpace
    dimension: int
    preprocessing: Preprocessing

    def network(self, architecture: Architecture) -> EmbeddingModel:
        """A point's network, with new weights."""
        config = self.space.config(architecture, dimension=self.dimension)
        return EmbeddingModel(architecture.digest[:12], config, self.preprocessing)


def part(shared: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A view of a shared tensor: the leading entries of its first two axes, the central ones of the others."""
    for axis, size in enumerate(shape):
        start = (shared.shape[axis] - size) // 2 if axis >= 2 else 0
        shared = shared.narrow(axis, start, size)
    return shared


def parts(network: EmbeddingModel, architecture: Architecture, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For each entry of a network's state, its view of the shared tensors.

    Args:
        network: As :meth:`Frame.network` makes it.
        architecture: The same point.
        shared: As :func:`shared_tensors` makes them.
    """
    keys = _keys(network, architecture)
    return {name: part(shared[keys[name]], tuple(own.shape)) for name, own in network.state_dict().items()}


def candidate(frame: Frame, architecture: Architecture, shared: Mapping[str, Tensor]) -> EmbeddingModel:
    """A point's network with a copy of its weights, in evaluation mode."""
    network = frame.network(architecture)
    with torch.no_grad():
        network.load_state_dict(parts(network, architecture, shared))
    return network.eval()


def shared_tensors(frame: Frame) -> dict[str, nn.Parameter | Tensor]:
    """New tensors, large enough for every point; parameters are ``nn.Parameter``, statistics plain tensors.

    Raises:
        InputError: When a block of a user's own has a tensor that no choice makes largest on all of its axes.
    """
    shared: dict[str, nn.Parameter | Tensor] = {}
    for kind in frame.space.kind:
        alone = replace(frame, space=replace(frame.space, kind=(kind,)))
        for group, state in itertools.chain(_outside_blocks(alone), _largest_blocks(alone.space)):
            shared |= {_key(kind, group, name): tensor for name, tensor in state.items()}
    return shared


def _outside_blocks(frame: Frame) -> Iterator[tuple[str, _State]]:
    """Everything but blocks, of a point whose last stage is widest: nothing else of it depends on the choices."""
    space, last = frame.space, len(frame.space.stages) - 1
    widest = max(space.stages[last].channels)
    architecture = space.build(space.values(space.smallest) | {f"{last}.channels": widest})
    network = frame.network(architecture)
    backbone = list(network.backbone.children())
    around = [(name, child) for name, child in network.named_children() if name != "backbone"]
    for name, module in [*around, ("stem", backbone[0]), ("last", backbone[-1])]:
        yield name, module.state_dict(keep_vars=True)


def _largest_blocks(space: SearchSpace) -> Iterator[tuple[str, _State]]:
    """For each place: every tensor that a block may have there, as large as any needs it."""
    for index, stage in enumerate(space.stages):
        for place in range(max(stage.depth)):
            yield f"{index}.{place}", _largest(space.kind[0], index, _blocks_at(space, index, place))


def _largest(kind: str, index: int, blocks: Iterable[_Block]) -> _State:
    sizes: dict[str, dict[tuple[int, ...], _Block]] = {}
    for block in blocks:
        with torch.device("meta"):
            state = block_class(kind)(*block).state_dict()
        for name, tensor in state.items():
            sizes.setdefault(name, {}).setdefault(tuple(tensor.shape), block)
    largest: _State = {}
    for name, known in sizes.items():
        most = tuple(map(max, zip(*known, strict=False)))
        if most not in known or len({len(size) for size in known}) > 1:
            raise InputError(
                f"blocks {kind!r} of stage {index} cannot share weights: no choice has {name} at its largest, sizes "
                f"are {sorted(known)}; offer fewer options, or name the tensors apart"
            )
        largest[name] = block_class(kind)(*known[most]).state_dict(keep_vars=True)[name]
    return largest


def _blocks_at(space: SearchSpace, index: int, place: int) -> Iterator[_Block]:
    """What every block that may stand at a place is made with."""
    # Activations have no tensors, and points() need not list a block once for each.
    stage = replace(space.stages[index], depth=(1,), activation=space.stages[index].activation[:1])
    before = space.stages[index - 1].channels if index else (space.stem_channels,)
    for chosen in stage.points():
        (made,) = stage.runs(chosen, space.kind[0])
        for inputs in (chosen.channels,) if place else before:
            yield inputs, chosen.channels, 1 if place else stage.stride, made


def _keys(network: EmbeddingModel, architecture: Architecture) -> dict[str, str]:
    """The shared tensor of each entry of a network's state."""
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
