"""Weight sharing: one set of tensors, from which every point of a search space takes its weights.

A point's network is a plain student, and each of its tensors is a part of a shared one: the leading channels, and of a
larger kernel the centre. No block knows about it, so any block can be searched, also a user's own.

Which points share: blocks at the same place, of the same kind and with the same tensors by name. Thus widths,
expansions, kernels and activations share; kinds of block, and blocks with and without squeeze-excite or expansion,
have weights of their own. The paper (CMP-NAS, arXiv 2105.06047) trains a single path one-shot supernet and leaves open
how its weights are shared. In that method (arXiv 1904.00420) every kind of block has weights of its own, also for each
kernel size, and channels are sliced; kernels are cut from the largest here (as in arXiv 1908.09791, without its learnt
transformation), so that every weight is trained in more of the steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.files import digest
from hetero.models.block_catalog import block_class
from hetero.models.config import Stage
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.search.architecture import Architecture
from hetero.search.space import SearchSpace


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
        InputError: When a block of a user's own has no choice in which all of its tensors are largest.
    """
    shared: dict[str, nn.Parameter | Tensor] = {}
    for group, module in itertools.chain(_outside_blocks(frame), _largest_blocks(frame.space)):
        state = module.state_dict(keep_vars=True)
        shared |= {_key(group, name): tensor for name, tensor in state.items()}
    return shared


def _outside_blocks(frame: Frame) -> Iterator[tuple[str, nn.Module]]:
    """Everything but blocks, of a point whose last stage is widest: nothing else of it depends on the choices."""
    space, last = frame.space, len(frame.space.stages) - 1
    widest = max(space.stages[last].channels)
    architecture = space.build(space.values(space.smallest) | {f"{last}.channels": widest})
    network = frame.network(architecture)
    yield from ((name, child) for name, child in network.named_children() if name != "backbone")
    backbone = list(network.backbone.children())
    yield from (("stem", backbone[0]), ("last", backbone[-1]))


def _largest_blocks(space: SearchSpace) -> Iterator[tuple[str, nn.Module]]:
    """For each place and each set of blocks that share there, the largest block."""
    for index, stage in enumerate(space.stages):
        for place in range(max(stage.depth)):
            yield from _largest_at(space, index, place)


@dataclass
class _Group:
    """Blocks that share."""

    kind: str
    arguments: tuple[int, int, int, Stage]
    sizes: dict[str, tuple[int, ...]]
    most: dict[str, tuple[int, ...]]


def _largest_at(space: SearchSpace, index: int, place: int) -> Iterator[tuple[str, nn.Module]]:
    groups: dict[str, _Group] = {}
    for arguments in _blocks_at(space, index, place):
        kind = arguments[3].block
        with torch.device("meta"):
            state = block_class(kind)(*arguments).state_dict()
        sizes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        name = _group(index, place, kind, state)
        known = groups.setdefault(name, _Group(kind, arguments, sizes, sizes))
        known.most = {key: tuple(map(max, known.most[key], size)) for key, size in sizes.items()}
        if sizes == known.most:
            known.arguments, known.sizes = arguments, sizes
    for name, group in groups.items():
        if group.sizes != group.most:
            raise InputError(
                f"blocks {group.kind!r} of stage {index} cannot share weights: no choice of channels, kernel and "
                "expansion has all of its tensors at their largest; offer fewer options, or name the tensors apart"
            )
        yield name, block_class(group.kind)(*group.arguments)


def _blocks_at(space: SearchSpace, index: int, place: int) -> Iterator[tuple[int, int, int, Stage]]:
    """What every block that may stand at a place is made with."""
    # Activations have no tensors, and points() need not list a block once for each.
    stage = replace(space.stages[index], depth=(1,), activation=space.stages[index].activation[:1])
    before = space.stages[index - 1].channels if index else (space.stem_channels,)
    for chosen in stage.points():
        (made,) = stage.runs(chosen)
        for inputs in (chosen.channels,) if place else before:
            yield inputs, chosen.channels, 1 if place else stage.stride, made


def _keys(network: EmbeddingModel, architecture: Architecture) -> dict[str, str]:
    """The shared tensor of each entry of a network's state."""
    modules = list(network.backbone.children())
    groups = {0: "stem", len(modules) - 1: "last"}
    places = [
        (index, place, block.kind)
        for index, stage in enumerate(architecture.stages)
        for place, block in enumerate(stage.blocks)
    ]
    for position, (index, place, kind) in enumerate(places, start=1):
        groups[position] = _group(index, place, kind, modules[position].state_dict())
    keys: dict[str, str] = {}
    for name in network.state_dict():
        child, _, local = name.partition(".")
        if child == "backbone":
            position, _, local = local.partition(".")
            child = groups[int(position)]
        keys[name] = _key(child, local)
    return keys


def _group(index: int, place: int, kind: str, state: Mapping[str, Tensor]) -> str:
    names = digest([[name, tensor.dim()] for name, tensor in sorted(state.items())])
    return f"{index}.{place}.{kind}.{names[:8]}"


def _key(group: str, name: str) -> str:
    # Torch separates the names of nested modules by points.
    return f"{group}.{name}".replace(".", "/")
