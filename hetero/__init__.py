"""One embedding space, every device.

The public API; everything is loaded when first used, so that ``import hetero`` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hetero.adapters.registry import fit_adapter
    from hetero.adapters.storage import SpaceAdapter
    from hetero.data.augment_config import AugmentConfig
    from hetero.data.config import DataConfig
    from hetero.data.copies import with_copies
    from hetero.data.embeddings import load_embeddings, save_embeddings
    from hetero.data.images import Dataset, ImageSet
    from hetero.data.prepare import prepare
    from hetero.errors import InputError, IntegrityError, SpaceMismatchError
    from hetero.evaluation.matrix import CompatibilityMatrix, compatibility_matrix
    from hetero.evaluation.retrieval import evaluate_tasks
    from hetero.evaluation.task import RetrievalTask
    from hetero.gallery.exact import Gallery
    from hetero.geometry.principal import principal_directions
    from hetero.geometry.statistics import SpaceStatistics, space_statistics
    from hetero.models.classifier import Classifier
    from hetero.models.config import ModelConfig, Stage
    from hetero.models.directory import load_model, save_model
    from hetero.models.embed import embed_images
    from hetero.models.external import ModuleEmbedder, OnnxEmbedder, embed_all
    from hetero.models.frozen import backbone_embedder
    from hetero.models.model import EmbeddingModel
    from hetero.objectives.batch import Batch
    from hetero.objectives.config import ObjectiveConfig
    from hetero.own_code import allow_code
    from hetero.preprocessing import Preprocessing
    from hetero.search.architecture import Architecture
    from hetero.search.reward import SupernetReward
    from hetero.search.space import SearchSpace
    from hetero.search.space_file import built_in_space, load_space
    from hetero.search.stage_space import StageSpace
    from hetero.search.supernet_config import SupernetConfig
    from hetero.search.train_supernet import train_supernet
    from hetero.search.winner import as_student
    from hetero.space import EmbeddingSpace
    from hetero.training.cloud import Beside, train_cloud
    from hetero.training.cloud_reference import CloudReference
    from hetero.training.config import CloudConfig, HeadConfig, StudentConfig, TrainingConfig
    from hetero.training.judgement import Judgement
    from hetero.training.previous import PreviousStudent
    from hetero.training.student import train_student
    from hetero.upgrade.config import UpgradeConfig
    from hetero.upgrade.ensemble import ensemble
    from hetero.upgrade.fleet import measure_fleet
    from hetero.upgrade.forward import ForwardTransform
    from hetero.upgrade.train import train_upgrade
    from hetero.upgrade.truncate import as_earlier

_HOMES = {
    "adapters.registry": ("fit_adapter",),
    "adapters.storage": ("SpaceAdapter",),
    "data.augment_config": ("AugmentConfig",),
    "data.config": ("DataConfig",),
    "data.copies": ("with_copies",),
    "data.embeddings": ("load_embeddings", "save_embeddings"),
    "data.images": ("Dataset", "ImageSet"),
    "data.prepare": ("prepare",),
    "errors": ("InputError", "IntegrityError", "SpaceMismatchError"),
    "evaluation.matrix": ("CompatibilityMatrix", "compatibility_matrix"),
    "evaluation.retrieval": ("evaluate_tasks",),
    "evaluation.task": ("RetrievalTask",),
    "gallery.exact": ("Gallery",),
    "geometry.principal": ("principal_directions",),
    "geometry.statistics": ("SpaceStatistics", "space_statistics"),
    "models.classifier": ("Classifier",),
    "models.config": ("ModelConfig", "Stage"),
    "models.directory": ("load_model", "save_model"),
    "models.embed": ("embed_images",),
    "models.external": ("ModuleEmbedder", "OnnxEmbedder", "embed_all"),
    "models.frozen": ("backbone_embedder",),
    "models.model": ("EmbeddingModel",),
    "objectives.batch": ("Batch",),
    "objectives.config": ("ObjectiveConfig",),
    "own_code": ("allow_code",),
    "preprocessing": ("Preprocessing",),
    "search.architecture": ("Architecture",),
    "search.reward": ("SupernetReward",),
    "search.space": ("SearchSpace",),
    "search.space_file": ("built_in_space", "load_space"),
    "search.stage_space": ("StageSpace",),
    "search.supernet_config": ("SupernetConfig",),
    "search.train_supernet": ("train_supernet",),
    "search.winner": ("as_student",),
    "space": ("EmbeddingSpace",),
    "training.cloud": ("Beside", "train_cloud"),
    "training.cloud_reference": ("CloudReference",),
    "training.config": ("CloudConfig", "HeadConfig", "StudentConfig", "TrainingConfig"),
    "training.judgement": ("Judgement",),
    "training.previous": ("PreviousStudent",),
    "training.student": ("train_student",),
    "upgrade.config": ("UpgradeConfig",),
    "upgrade.ensemble": ("ensemble",),
    "upgrade.fleet": ("measure_fleet",),
    "upgrade.forward": ("ForwardTransform",),
    "upgrade.train": ("train_upgrade",),
    "upgrade.truncate": ("as_earlier",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Architecture",
    "AugmentConfig",
    "Batch",
    "Beside",
    "Classifier",
    "CloudConfig",
    "CloudReference",
    "CompatibilityMatrix",
    "DataConfig",
    "Dataset",
    "EmbeddingModel",
    "EmbeddingSpace",
    "ForwardTransform",
    "Gallery",
    "HeadConfig",
    "ImageSet",
    "InputError",
    "IntegrityError",
    "Judgement",
    "ModelConfig",
    "ModuleEmbedder",
    "ObjectiveConfig",
    "OnnxEmbedder",
    "Preprocessing",
    "PreviousStudent",
    "RetrievalTask",
    "SearchSpace",
    "SpaceAdapter",
    "SpaceMismatchError",
    "SpaceStatistics",
    "Stage",
    "StageSpace",
    "StudentConfig",
    "SupernetConfig",
    "SupernetReward",
    "TrainingConfig",
    "UpgradeConfig",
    "allow_code",
    "as_earlier",
    "as_student",
    "backbone_embedder",
    "built_in_space",
    "compatibility_matrix",
    "embed_all",
    "embed_images",
    "ensemble",
    "evaluate_tasks",
    "fit_adapter",
    "load_embeddings",
    "load_model",
    "load_space",
    "measure_fleet",
    "prepare",
    "principal_directions",
    "save_embeddings",
    "save_model",
    "space_statistics",
    "train_cloud",
    "train_student",
    "train_supernet",
    "train_upgrade",
    "with_copies",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hetero' has no attribute {name!r}")
    return getattr(import_module(f"hetero.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
