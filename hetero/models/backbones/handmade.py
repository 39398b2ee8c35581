"""Hand-made networks to compare a searched one with: well-known designs, built from the edge family's blocks.

Each keeps its paper's choices (kernels, expansions, squeeze-excite, activations, widths by stage) at four resolutions
for small images, and is scaled in width to a budget. They are likenesses, not copies: the stem, the last expansion and
the head are the edge family's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hetero.errors import InputError
from hetero.models.config import ModelConfig, Stage

_SHUFFLE = "shuffle"

HANDMADE: Mapping[str, ModelConfig] = {
    # Howard et al., arXiv 1905.02244, table 2 (MobileNetV3-Small).
    "mobilenetv3-like": ModelConfig(
        stem_channels=16,
        stages=(
            Stage(channels=16, stride=2, expansion=1.0, squeeze_excite=True, activation="relu"),
            Stage(channels=24, depth=2, stride=2, expansion=4.0, activation="relu"),
            Stage(channels=40, depth=3, stride=2, kernel=5, expansion=4.0, squeeze_excite=True),
            Stage(channels=48, depth=2, kernel=5, expansion=3.0, squeeze_excite=True),
            Stage(channels=96, depth=2, kernel=5, expansion=6.0, squeeze_excite=True),
        ),
    ),
    # Ma et al., arXiv 1807.11164, table 5 (ShuffleNetV2 1x: 116, 232 and 464 channels, brought down to this size).
    "shufflenetv2-like": ModelConfig(
        stem_channels=24,
        stages=(
            Stage(channels=32, depth=2, stride=2, expansion=1.0, block=_SHUFFLE, activation="relu"),
            Stage(channels=64, depth=4, stride=2, expansion=1.0, block=_SHUFFLE, activation="relu"),
            Stage(channels=128, depth=2, stride=2, expansion=1.0, block=_SHUFFLE, activation="relu"),
        ),
    ),
    # Tan and Le, arXiv 1905.11946, table 1 (B0), as its Lite version: no squeeze-excite, ReLU6.
    "efficientnet-lite-like": ModelConfig(
        stem_channels=16,
        stages=(
            Stage(channels=16, stride=2, expansion=1.0, activation="relu6"),
            Stage(channels=24, depth=2, stride=2, expansion=6.0, activation="relu6"),
            Stage(channels=40, depth=2, stride=2, kernel=5, expansion=6.0, activation="relu6"),
            Stage(channels=80, depth=2, kernel=3, expansion=6.0, activation="relu6"),
            Stage(channels=112, kernel=5, expansion=6.0, activation="relu6"),
        ),
    ),
}
"""Name -> the network at width 1; :func:`hetero.models.cost.widest_within` scales it to a budget."""


def handmade(name: str, *, stem_stride: int = 1, dimension: int = 128) -> ModelConfig:
    """Return the configuration of a hand-made network at width 1.

    Args:
        name: One of :data:`HANDMADE`.
        stem_stride: 1 for images of about 32 pixels a side, 2 for larger ones.
        dimension: Dimension of the embedding.

    Raises:
        InputError: When there is no network of this name.
    """
    if name not in HANDMADE:
        raise InputError(f"unknown hand-made network {name!r}: expected one of {', '.join(HANDMADE)}")
    return replace(HANDMADE[name], stem_stride=stem_stride, dimension=dimension)
