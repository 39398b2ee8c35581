"""What a recipe says about training."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from hetero.constraints import Count, NotNegative, Number, Positive, Share, Text
from hetero.data.augment_config import AugmentConfig
from hetero.models.config import ModelConfig
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.preprocessing import Preprocessing
from hetero.schema import settings


@settings
class TrainingConfig:
    """How a model is trained, whatever it is.

    Attributes:
        steps: Optimiser steps.
        classes_per_batch: Classes drawn for each batch; under ``torchrun`` the processes share them.
        images_per_class: Images drawn for each of them.
        learning_rate: Peak, reached after the warm-up, then falling to zero along a cosine.
        weight_decay: AdamW's decoupled decay; applied to matrices and filters only.
        warmup: Share of the steps.
        clip: Largest gradient norm; 0 clips nothing.
        validate_every: Steps between looks at the validation classes; the best weights seen are kept.
        candidates_from: Share of the steps after which weights are candidates for the best; before, the learning rate
            is high, and a lucky figure on few validation classes says little.
        checkpoint_every: Steps between checkpoints, from which an interrupted run continues.
        precision: Fabric's name for it; ``32-true``, ``bf16-mixed`` or, on GPUs, ``16-mixed``. Objectives compute in
            float32 in any case.
        threads: CPU threads. Equal numbers give bit-identical runs on CPU. 0 takes all cores; in a recipe's run its
            share of them, where others may train at the same time (:mod:`hetero.pipeline.threads`).
        augment: Random changes to the training images.
    """

    steps: Count = 900
    classes_per_batch: Count = 43
    images_per_class: Count = 3
    learning_rate: Positive = 3e-3
    weight_decay: NotNegative = 0.05
    warmup: Share = 0.1
    clip: NotNegative = 5.0
    validate_every: Count = 100
    candidates_from: Share = 0.8
    checkpoint_every: Count = 100
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: Number = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@settings
class HeadConfig:
    """A margin softmax head.

    Attributes:
        kind: ``arcface``, ``cosface`` or ``none`` (a plain normalised softmax).
        margin: Radians for ArcFace, cosine for CosFace.
        scale: Multiplies the cosines.
    """

    kind: Literal["arcface", "cosface", "none"] = "arcface"
    margin: NotNegative = 0.2
    scale: Positive = 16.0


@settings
class CloudConfig:
    """The cloud model: the large one that defines the space.

    Attributes:
        name: For people and files.
        version: For people.
        preprocessing: How its images are prepared, where that differs from the students'; None for the recipe's. Images
            and their changed copies are prepared twice then: the same pictures, for each as it takes them.
        embeddings: A file of embeddings already computed for the images; then nothing is trained.
        onnx: A cloud model as an ONNX file; then nothing is trained.
        macs: Multiply-accumulates of an image, for students that cost a share of them; only for a model that is not
            trained here, and so not counted. 0 when that is not known.
        parameters: The same of its weights.
        copies: Changed copies of each training image that it embeds for the students to learn from.
        copies_augment: How much the copies are changed.
        model: Its architecture.
        head: Its margin softmax.
        objectives: Terms of its objective.
        training: How it is trained.
    """

    name: Text = "cloud"
    version: str = "1"
    preprocessing: Preprocessing | None = None
    embeddings: str = ""
    onnx: str = ""
    macs: Number = 0
    parameters: Number = 0
    copies: Number = 0
    copies_augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(family="residual", pool="gem", stem_channels=32))
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("own_head"),
        ObjectiveConfig("supervised_contrastive"),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def is_external(self) -> bool:
        """True if it is not trained here: there is an ONNX file of it, or only its embeddings."""
        return bool(self.embeddings or self.onnx)


@settings
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

    name: Text
    independent: bool = False
    live: bool = False
    model: ModelConfig = field(default_factory=ModelConfig)
    max_macs: Number = 0
    max_macs_share: Share = 0.0
    max_parameters: Number = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("cloud_regression", 20.0),
        ObjectiveConfig("hvs_composite", 0.3),
        ObjectiveConfig("cloud_contrastive", 0.3),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)
