"""A supernet's directory: ``supernet.safetensors supernet.json rewards.safetensors space.json metrics.json log.jsonl``.

``space.json`` is the embedding space, as in every directory; the search space is part of ``supernet.json``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hetero.errors import InputError, IntegrityError
from hetero.files import digest, sha256_bytes, sha256_file, write_bytes, write_json
from hetero.nas.evaluation.reward_set import RewardSet
from hetero.nas.space.space import SearchSpace
from hetero.nas.supernet.shared_weights import Frame
from hetero.preprocessing import Preprocessing
from hetero.schema import parse_file, record
from hetero.space import EmbeddingSpace

RECORD = "supernet.json"
WEIGHTS = "supernet.safetensors"
REWARDS = "rewards.safetensors"


@record
class SupernetRecord:
    """The content of ``supernet.json``.

    Attributes:
        space: The search space.
        dimension: Dimension of the embeddings.
        preprocessing: Part of every point's model.
        weights: SHA-256 of the shared tensors' file.
        rewards: SHA-256 of the file of images to judge on.
        schema: Version of this record.
    """

    space: SearchSpace
    dimension: int
    preprocessing: Preprocessing
    weights: str
    rewards: str
    schema: Literal["hetero/supernet/1"] = "hetero/supernet/1"


@dataclass(frozen=True)
class StoredSupernet:
    """A trained supernet.

    Attributes:
        frame: The properties that all points share.
        shared: The shared tensors, see :mod:`hetero.nas.supernet.shared_weights`.
        embedding_space: The space in which every point lives.
        identity: Digest of weights and images to judge on: equal identities give every point equal rewards.
    """

    frame: Frame
    shared: Mapping[str, Tensor]
    embedding_space: EmbeddingSpace
    identity: str


def save_supernet(
    directory: Path,
    frame: Frame,
    shared: Mapping[str, Tensor],
    data: RewardSet,
    space: EmbeddingSpace,
    metrics: Mapping[str, Any],
) -> None:
    """Write a trained supernet into a directory, which may hold other files."""
    weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in shared.items()})
    write_bytes(directory / WEIGHTS, weights)
    data.save(directory / REWARDS)
    space.save(directory / "space.json")
    write_json(directory / "metrics.json", dict(metrics))
    content = SupernetRecord(
        frame.space, frame.dimension, frame.preprocessing, sha256_bytes(weights), sha256_file(directory / REWARDS)
    )
    write_json(directory / RECORD, dataclasses.asdict(content))


def load_supernet(directory: Path) -> StoredSupernet:
    """Read a supernet's directory.

    Raises:
        InputError: When the directory is not a supernet's.
        IntegrityError: When a file is damaged.
    """
    path = directory / RECORD
    if not path.is_file():
        raise InputError(f"expected a trained supernet at {directory}, found no {RECORD} in it")
    stored = parse_file(SupernetRecord, path)
    for name, expected in ((WEIGHTS, stored.weights), (REWARDS, stored.rewards)):
        if not (directory / name).is_file() or sha256_file(directory / name) != expected:
            raise IntegrityError(
                f"{directory / name} is missing or not the file that {path} describes; train the supernet again"
            )
    try:
        shared = load_file(directory / WEIGHTS)
    except SafetensorError as error:
        raise IntegrityError(f"{directory / WEIGHTS} is damaged: {error}") from None
    return StoredSupernet(
        Frame(stored.space, stored.dimension, stored.preprocessing),
        shared,
        EmbeddingSpace.load(directory / "space.json"),
        digest([stored.weights, stored.rewards]),
    )
