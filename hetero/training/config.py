"""What a recipe says about training."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from hetero.data.augment_config import AugmentConfig
from hetero.models.config import ModelConfig
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.schema import record


@record
class TrainingConfig:
    """How a model is trained, whatever it is.

    Attributes:
        steps: Optimiser steps.
        classes_per_batch: Classes drawn for each batch; under ``torchrun`` the processes share them.
        images_per_class: Images drawn for each of them.
        learning_rate: Peak, reached after the warm-up, then falling to zero along a cosine.
        weight_decay: AdamW's decoupled decay; applied to matrices and filters only.
        warmup: Share of the steps.
        clip: Largest gradient norm.
        validate_every: Steps between looks at the validation classes; the best weights seen are kept.
        candidates_from: Share of the steps after which weights are candidates for the best; before, the learning rate
            is high, and a lucky figure on few validation classes says little.
        checkpoint_every: Steps between checkpoints, from which an interrupted run continues.
        precision: Fabric's name for it; ``32-true``, ``bf16-mixed`` or, on GPUs, ``16-mixed``. Objectives compute in
            float32 in any case.
        threads: CPU threads; 0 takes all cores. Equal thread counts give bit-identical runs on CPU.
        augment: Random changes to the training images.
    """

    steps: int = 900
    classes_per_batch: int = 43
    images_per_class: int = 3
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 5.0
    validate_every: int = 100
    candidates_from: float = 0.8
    checkpoint_every: int = 100
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@record
class HeadConfig:
    """A margin softmax head.

    Attributes:
        kind: ``arcface``, ``cosface`` or ``none`` (a plain normalised softmax).
        margin: Radians for ArcFace, cosine for CosFace.
        scale: Multiplies the cosines.
    """

    kind: Literal["arcface", "cosface", "none"] = "arcface"
    margin: float = 0.2
    scale: float = 16.0


@record
class CloudConfig:
    """The cloud model: the large one that defines the space.

    Attributes:
        name: For people and files.
        version: For people.
        embeddings: A file of embeddings already computed for the images; then nothing is trained.
        onnx: A cloud model as an ONNX file; then nothing is trained.
        copies: Changed copies of each training image that it embeds for the students to learn from.
        copies_augment: How much the copies are changed.
        model: Its architecture.
        head: Its margin softmax.
        objectives: Terms of its objective.
        training: How it is trained.
    """

    name: str = "cloud"
    version: str = "1"
    embeddings: str = ""
    onnx: str = ""
    copies: int = 0
    copies_augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(family="residual", pool="gem", stem_channels=32))
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("own_head"),
        ObjectiveConfig("supervised_contrastive"),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)


@record
class StudentConfig:
    """A student: a small model trained to live in the cloud's space.

    Attributes:
        name: For people and files.
        independent: Train without the cloud model: a control that shows what compatible training is for. Not exported.
        live: Run the cloud model on each augmented batch instead of taking its cached vectors: slower, but it answers
            for the very image that the student sees.
        model: Its architecture; the embedding dimension is the cloud's, whatever is said here.
        max_macs: Widest model within so many multiply-accumulates an image; 0 keeps the width as it is.
        max_macs_share: The same as a share of the cloud model's; 0 for no such limit.
        max_parameters: Most weights; 0 for no limit.
        head: Margin of its own and of the frozen cloud head.
        objectives: Feature regression with, lightly, own and cloud head and cloud contrast: what did best on validation
            in ``hetero compare``, see docs/results.md.
        training: How it is trained.
    """

    name: str
    independent: bool = False
    live: bool = False
    model: ModelConfig = field(default_factory=ModelConfig)
    max_macs: int = 0
    max_macs_share: float = 0.0
    max_parameters: int = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("cloud_regression", 20.0),
        ObjectiveConfig("hvs_composite", 0.3),
        ObjectiveConfig("cloud_contrastive", 0.3),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)
