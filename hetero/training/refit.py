"""A closed-form refit of a student's last layer, once it is trained.

Given the features at the end of training, ridge regression yields the linear map of least squared error to the cloud's
vectors. It replaces the embedding layer and the neck, which can represent any such map exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from hetero.data.embeddings.mapped import Vectors
from hetero.data.images import Dataset, Images
from hetero.errors import InputError
from hetero.geometry.principal import mean_vector
from hetero.models.model import EmbeddingModel
from hetero.training.config import StudentConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.run import Fitted
from hetero.training.reference.cloud_reference import CloudReference

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Penalties to try, as shares of the features' mean variance."""
_BATCH = 256


@dataclass(frozen=True)
class Affine:
    """The map ``(x - inputs) @ weights + outputs``, and the variance of its results.

    Attributes:
        weights: float64 [c, m].
        inputs: float64 [c], mean of the features.
        outputs: float64 [m], mean of the targets.
        variance: float64 [m], variance of the results on the features that it was fitted to.
    """

    weights: Float64[np.ndarray, "c m"]
    inputs: Float64[np.ndarray, " c"]
    outputs: Float64[np.ndarray, " m"]
    variance: Float64[np.ndarray, " m"]

    def __call__(self, features: Float64[np.ndarray, "n c"]) -> Float64[np.ndarray, "n m"]:
        """Apply the map."""
        return (features - self.inputs) @ self.weights + self.outputs


@dataclass(frozen=True)
class Refit:
    """The outcome of a refit, for ``metrics.json``.

    Attributes:
        penalty: The best of :data:`PENALTIES`.
        agreement: Mean centred cosine of the refitted layer's vectors with the cloud's on validation images.
        validation: Figure of the refitted model by which weights are chosen.
        kept: True if the model keeps the refitted layer.
    """

    penalty: float
    agreement: float
    validation: float
    kept: bool


@dataclass(frozen=True)
class LastLayers:
    """The maps of least error, one a penalty, and the student's agreement with the cloud under each.

    Attributes:
        maps: The maps in the order of :data:`PENALTIES`.
        agreement: Mean cosine of the student's and the cloud's validation vectors after the space's mean is removed.
    """

    maps: tuple[Affine, ...]
    agreement: tuple[float, ...]

    @property
    def best(self) -> int:
        """Place of the penalty with the largest agreement; the first of equal ones."""
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
    train: tuple[Images, Vectors],
    validation: tuple[Images, Float32[np.ndarray, "m d"]],
) -> LastLayers:
    """Fit ridge regressions of the cloud's vectors (or of their coefficients) on the student's pooled features.

    Features are computed in evaluation mode, sums in double precision.

    Args:
        model: The trained student; it is not changed, but put in evaluation mode.
        train: Images, changed copies included, and the cloud's unit vectors of each.
        validation: The same for images that it was not trained on.
    """
    model.eval()
    images, vectors = train
    plane, mean = _Plane.of(model), mean_vector(vectors)
    moments = _Moments(model.embedding.in_features, model.embedding.out_features)
    for rows, features in _features(model, images):
        moments.add(features, plane.coefficients(vectors[rows]))
    maps = tuple(moments.ridge(penalty) for penalty in PENALTIES)
    held_out = np.concatenate([features for _, features in _features(model, validation[0])])
    return LastLayers(maps, tuple(_agreement(plane.vectors(affine(held_out)), validation[1], mean) for affine in maps))


def refit(
    model: EmbeddingModel,
    dataset: Dataset,
    cloud: CloudReference,
    fitted: Fitted,
    validate: Callable[[EmbeddingModel], Judgement],
) -> tuple[Fitted, Refit]:
    """Refit a trained student's last layer, in place, unless that lowers its validation figure.

    The penalty is the one with the largest agreement with the cloud on validation images.

    Args:
        model: The trained student.
        dataset: Its training data, changed copies included.
        cloud: The cloud's vectors of the training and the validation images.
        fitted: The training's outcome.
        validate: Judges the model as its training did.

    Returns:
        The training's outcome, with the refitted model's figure where it was kept, and the refit's outcome.
    """
    assert cloud.validation is not None
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    layers = fit_last_layers(model, (dataset.train.images, cloud.train), (dataset.validation.images, cloud.validation))
    put(model, layers.maps[layers.best])
    judgement = validate(model)
    is_kept = judgement.figure >= fitted.best.judgement.figure
    if not is_kept:
        model.load_state_dict(before)
    outcome = Refit(PENALTIES[layers.best], layers.agreement[layers.best], judgement.figure, is_kept)
    return (replace(fitted, best=replace(fitted.best, judgement=judgement)) if is_kept else fitted), outcome


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
        # Evaluation mode divides by the same root.
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
        """Return the map of least squared error plus ``penalty`` times mean feature variance times squared weights."""
        inputs, outputs = (total / self.count for total in self.sums)
        covariance = self.squares / self.count - np.outer(inputs, inputs)
        cross = self.products / self.count - np.outer(inputs, outputs)
        size = penalty * np.trace(covariance) / len(covariance)
        weights = np.linalg.solve(covariance + size * np.eye(len(covariance)), cross)
        return Affine(weights, inputs, outputs, np.einsum("cm,ce,em->m", weights, covariance, weights, optimize=True))


@dataclass(frozen=True)
class _Plane:
    """The plane whose coefficients the neck computes: principal directions around a mean, or all dimensions."""

    mean: Float64[np.ndarray, " d"] | None = None
    basis: Float64[np.ndarray, "d k"] | None = None

    @classmethod
    def of(cls, model: EmbeddingModel) -> _Plane:
        expansion = model.expansion
        if not isinstance(expansion, nn.Linear):
            return cls()
        return cls(*(values.detach().double().cpu().numpy() for values in (expansion.bias, expansion.weight)))

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
    """Return the mean cosine of two models' vectors of the same images, the space's mean removed from both."""
    return float((_unit(_unit(ours) - mean) * _unit(vectors - mean)).sum(axis=1).mean())


def _unit(vectors: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
