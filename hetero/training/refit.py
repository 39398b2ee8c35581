"""A closed-form refit of a student's last layer, once it is trained.

Given the features that training ended with, the linear map of least squared error to the cloud's vectors is known by
ridge regression. It replaces the embedding layer and the neck, which can hold any such map exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from hetero.data.images import Dataset, Images
from hetero.errors import InputError
from hetero.models.model import EmbeddingModel
from hetero.training.config import StudentConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.run import Fitted
from hetero.training.reference.cloud_reference import CloudReference

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""That are tried, as shares of the features' mean variance."""
_BATCH = 256


@dataclass(frozen=True)
class Affine:
    """``(x - inputs) @ weights + outputs``, and what it gives on what it was fitted to.

    Attributes:
        weights: float64 [c, m].
        inputs: float64 [c], mean of the features.
        outputs: float64 [m], mean of the targets.
        variance: float64 [m], of the results.
    """

    weights: Float64[np.ndarray, "c m"]
    inputs: Float64[np.ndarray, " c"]
    outputs: Float64[np.ndarray, " m"]
    variance: Float64[np.ndarray, " m"]

    def __call__(self, features: Float64[np.ndarray, "n c"]) -> Float64[np.ndarray, "n m"]:
        """The map."""
        return (features - self.inputs) @ self.weights + self.outputs


@dataclass(frozen=True)
class Refit:
    """What a refit did, for ``metrics.json``.

    Attributes:
        penalty: Of :data:`PENALTIES`.
        agreement: Mean centred cosine with the cloud on validation images by the refitted layer.
        validation: Figure of the refitted model by which weights are chosen.
        kept: True if the model keeps the refitted layer.
    """

    penalty: float
    agreement: float
    validation: float
    kept: bool


@dataclass(frozen=True)
class LastLayers:
    """The maps of least error, one a penalty, and how well the student agrees with the cloud by each.

    Attributes:
        maps: In the order of :data:`PENALTIES`.
        agreement: Mean cosine of the student's and the cloud's validation vectors after the space's mean is removed.
    """

    maps: tuple[Affine, ...]
    agreement: tuple[float, ...]

    @property
    def best(self) -> int:
        """Place of the penalty with the largest agreement; of equal ones the first."""
        return int(np.argmax(self.agreement))


def require_validation(config: StudentConfig, cloud: CloudReference | None) -> None:
    """Refuse a refit that could not be judged, before anything is trained.

    Raises:
        InputError: When the cloud's vectors of the validation images are not known.
    """
    if config.refit and (cloud is None or cloud.validation is None):
        raise InputError(
            f"student {config.name}: refit = true chooses by the cloud's vectors of the validation images, which are "
            "not known; give them, too, or set refit = false"
        )


def fit_last_layers(
    model: EmbeddingModel,
    train: tuple[Images, Float32[np.ndarray, "n d"]],
    validation: tuple[Images, Float32[np.ndarray, "m d"]],
) -> LastLayers:
    """Ridge regressions of the cloud's vectors (or of their coefficients) on the student's pooled features.

    Features are those of evaluation mode; sums are in double precision.

    Args:
        model: Trained; it is left as it is, in evaluation mode.
        train: Images, changed copies included, and the cloud's unit vectors of each.
        validation: The same of images that it was not trained on.
    """
    model.eval()
    images, vectors = train
    plane, mean = _Plane.of(model), vectors.mean(axis=0, dtype=np.float64)
    moments = _Moments(model.embedding.in_features, model.embedding.out_features)
    for rows, features in _features(model, images):
        moments.add(features, plane.coefficients(vectors[rows]))
    maps = tuple(moments.ridge(penalty) for penalty in PENALTIES)
    seen = np.concatenate([features for _, features in _features(model, validation[0])])
    return LastLayers(maps, tuple(_agreement(plane.vectors(one(seen)), validation[1], mean) for one in maps))


def refit(
    model: EmbeddingModel,
    dataset: Dataset,
    cloud: CloudReference,
    fitted: Fitted,
    validate: Callable[[EmbeddingModel], Judgement],
) -> tuple[Fitted, Refit]:
    """Refit a trained student's last layer, in place, unless its validation figure falls by it.

    The penalty is that of the largest agreement with the cloud on validation images.

    Args:
        model: Trained.
        dataset: What it was trained on, changed copies included.
        cloud: Its vectors of the training and the validation images.
        fitted: The training's outcome.
        validate: The figure that the weights were chosen by.

    Returns:
        The outcome with the refitted model's figure, where it was kept, and what the refit did.
    """
    assert cloud.validation is not None
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = fit_last_layers(model, (dataset.train.images, cloud.train), (dataset.validation.images, cloud.validation))
    put(model, found.maps[found.best])
    judgement = validate(model)
    kept = judgement.figure >= fitted.best.judgement.figure
    if not kept:
        model.load_state_dict(before)
    outcome = Refit(PENALTIES[found.best], found.agreement[found.best], judgement.figure, kept)
    return (replace(fitted, best=replace(fitted.best, judgement=judgement)) if kept else fitted), outcome


def put(model: EmbeddingModel, affine: Affine) -> None:
    """Make the embedding layer and the neck compute a map in evaluation mode, in place.

    The neck's statistics become those of the map's results, so that the model can be trained on.
    """
    norm: nn.BatchNorm1d = model.neck
    state = {
        model.embedding.weight: affine.weights.T,
        norm.running_mean: affine.inputs @ affine.weights,
        norm.running_var: affine.variance,
        norm.bias: affine.outputs,
    }
    with torch.no_grad():
        for tensor, value in state.items():
            assert tensor is not None
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        assert norm.running_var is not None
        # What evaluation divides by.
        norm.weight.copy_(torch.sqrt(norm.running_var.double() + norm.eps))


class _Moments:
    """First and second moments of features and targets."""

    def __init__(self, features: int, targets: int) -> None:
        self.count = 0
        self.sums = np.zeros(features), np.zeros(targets)
        self.squares, self.products = np.zeros((features, features)), np.zeros((features, targets))

    def add(self, features: Float64[np.ndarray, "b c"], targets: Float64[np.ndarray, "b m"]) -> None:
        self.count += len(features)
        self.sums = self.sums[0] + features.sum(axis=0), self.sums[1] + targets.sum(axis=0)
        self.squares += features.T @ features
        self.products += features.T @ targets

    def ridge(self, penalty: float) -> Affine:
        """The map of least squared error plus ``penalty`` times the features' mean variance times its squared size."""
        inputs, outputs = (each / self.count for each in self.sums)
        covariance = self.squares / self.count - np.outer(inputs, inputs)
        cross = self.products / self.count - np.outer(inputs, outputs)
        size = penalty * np.trace(covariance) / len(covariance)
        weights = np.linalg.solve(covariance + size * np.eye(len(covariance)), cross)
        return Affine(weights, inputs, outputs, np.einsum("cm,ce,em->m", weights, covariance, weights, optimize=True))


@dataclass(frozen=True)
class _Plane:
    """What the neck's results are coefficients of: principal directions around a mean, or the dimensions themselves."""

    mean: Float64[np.ndarray, " d"] | None = None
    basis: Float64[np.ndarray, "d k"] | None = None

    @classmethod
    def of(cls, model: EmbeddingModel) -> _Plane:
        expansion = model.expansion
        if not isinstance(expansion, nn.Linear):
            return cls()
        return cls(*(each.detach().double().cpu().numpy() for each in (expansion.bias, expansion.weight)))

    def coefficients(self, vectors: Float32[np.ndarray, "b d"]) -> Float64[np.ndarray, "b m"]:
        return vectors.astype(np.float64) if self.basis is None else (vectors - self.mean) @ self.basis

    def vectors(self, coefficients: Float64[np.ndarray, "b m"]) -> Float64[np.ndarray, "b d"]:
        return coefficients if self.basis is None else self.mean + coefficients @ self.basis.T


def _features(model: EmbeddingModel, images: Images) -> Iterator[tuple[np.ndarray, Float64[np.ndarray, "b c"]]]:
    device = model.mean.device
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(images)))
            batch = torch.from_numpy(np.ascontiguousarray(images[rows])).to(device)
            yield rows, model.features(model.pixels(batch)).double().cpu().numpy()


def _agreement(
    ours: Float64[np.ndarray, "n d"], vectors: Float32[np.ndarray, "n d"], mean: Float64[np.ndarray, " d"]
) -> float:
    """Mean cosine of two models' vectors of the same images after the space's mean is removed from both."""
    return float((_unit(_unit(ours) - mean) * _unit(vectors - mean)).sum(axis=1).mean())


def _unit(vectors: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
