"""The setting of the paper on linear quadratic fine-tuning (arXiv 2012.11140) on photos, by a published network.

    python -m benchmarks.linear_paper_photos PHOTOS --seeds 0 1 2 --out runs/linear-paper-photos

PHOTOS has train, validation and test folders of classes. An EfficientNet-Lite0 with its ImageNet weights learns them
from a few photos of each, by the methods of :mod:`benchmarks.linear_paper`. What may change is its last stage: the last
block, the last convolution and the classifier. The published network has no leaky slope, so the slope of these layers
is set afterwards, and the statistics of their batch norms are taken anew, for each slope from the same photos.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hetero
from benchmarks.linear_paper import SLOPES, Images, Task, measure, probed, table
from benchmarks.machine import where_and_when
from hetero import DataConfig, Dataset, ImageSet, Preprocessing
from hetero.files import write_json
from hetero.linear import Linearised
from hetero.models.backbones.blocks import AveragePool
from hetero.models.backbones.pretrained import Backbone, backbone

NETWORK = "efficientnet_lite0"
FOR_STATISTICS = 512
"""Training photos, without their classes, for the statistics of batch norms."""
EPOCHS, RATES = 6, (3e-4, 1e-3)


class Leaky(nn.Module):
    """ReLU6 with a slope below zero."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, values: Tensor) -> Tensor:
        """Return the activations."""
        return F.leaky_relu(values, self.slope).clamp(max=6.0)


class LastStage(nn.Sequential):
    """The last block and the last convolution of an EfficientNet-Lite, as plain layers."""

    def __init__(self, network: Any, slope: float) -> None:
        block = network._blocks[-1]
        super().__init__(
            _plain(block._expand_conv), block._bn0, Leaky(slope),
            _plain(block._depthwise_conv), block._bn1, Leaky(slope),
            _plain(block._project_conv), block._bn2,
            _plain(network._conv_head), network._bn1, Leaky(slope),
        )  # fmt: skip


def _plain(layer: nn.Conv2d) -> nn.Conv2d:
    """The convolution without a layer of its own for padding, which is the same at stride 1."""
    size = layer.kernel_size[0]
    assert set(layer.stride) == {1} and layer.bias is None
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, size, padding=size // 2, groups=layer.groups, bias=False)
    plain.weight = layer.weight
    return plain


@torch.no_grad()
def below(published: Backbone, images: ImageSet, rows: np.ndarray) -> Tensor:
    """What the last stage takes of some photos."""
    network: Any = published.network.eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (published.mean, published.std))
    seen: list[Tensor] = []
    for part in np.array_split(rows, max(1, len(rows) // 64)):
        pixels = torch.from_numpy(np.ascontiguousarray(images.images[part])).permute(0, 3, 1, 2).float() / 255
        features = network._swish(network._bn0(network._conv_stem((pixels - mean) / std)))
        for block in network._blocks[:-1]:
            features = block(features)
        seen.append(features)
    return torch.cat(seen).contiguous()


@torch.no_grad()
def last_stage(published: Backbone, slope: float, seen: Tensor) -> LastStage:
    """The last stage with a slope, and batch norms of what it makes of some photos."""
    stage = LastStage(copy.deepcopy(published.network), slope)
    for layer in stage:
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    stage.train()(seen)
    return stage.eval()


def few(images: ImageSet, shots: int, seed: int) -> np.ndarray:
    """Rows of a few photos of each class."""
    drawn, labels = np.random.default_rng(seed), np.asarray(images.labels)
    chosen = [drawn.permutation(np.flatnonzero(labels == label))[:shots] for label in range(len(images.classes))]
    return np.sort(np.concatenate(chosen))


def task_of(stage: LastStage, channels: int, sets: tuple[Images, Images, Images], classes: int) -> Task:
    """A task whose network has the linear probe as its last layer."""
    network = probed(stage, AveragePool(), channels, *sets[:2], classes)
    return Task(Linearised(network), *sets, classes, epochs=EPOCHS, rates=RATES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the photos that are learnt")
    parser.add_argument("--shots", type=int, nargs="+", default=[10], help="photos of a class")
    parser.add_argument("--side", type=int, default=96, help="pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    path: Path = options.out / "linear_paper_photos.json"
    found: dict[str, Any] = json.loads(path.read_text())["found"] if path.is_file() else {}
    published = backbone(NETWORK)
    shape = Preprocessing(height=options.side, width=options.side, mean=published.mean, std=published.std)
    photos: Dataset = hetero.prepare(DataConfig(kind="folder", path=str(options.photos)), shape)

    def images(of: ImageSet, rows: np.ndarray) -> Images:
        return Images(below(published, of, rows), torch.from_numpy(np.asarray(of.labels)[rows]).long())

    statistics = below(published, photos.train, few(photos.train, FOR_STATISTICS // len(photos.train.classes), 0))
    validation, test = (images(of, np.arange(len(of))) for of in (photos.validation, photos.test))
    for seed in options.seeds:
        for shots in options.shots:
            learnt = images(photos.train, few(photos.train, shots, seed))
            for slope in SLOPES:
                stage = last_stage(published, slope, statistics)
                task = task_of(stage, published.channels, (learnt, validation, test), len(photos.train.classes))
                here = found.setdefault(f"{slope:g}/{shots} photos/{seed}", {})
                measure(task, here, lambda: write_json(path, {"found": found, **where_and_when()}))
                print(seed, shots, slope, here, flush=True)
    print(json.dumps(where_and_when()), table(found), sep="\n\n")


if __name__ == "__main__":
    main()
