"""The settings of a recipe that concern training."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Literal

from hetero.constraints import Count, NotNegative, Number, PartialShare, Positive, Share, Text
from hetero.data.augmentation.config import AugmentConfig
from hetero.linear.config import NewDomain, Part
from hetero.metrics.choice import Choice
from hetero.models.config import ModelConfig
from hetero.objectives.config import ObjectiveConfig, Term
from hetero.preprocessing import Preprocessing
from hetero.schema import settings
from hetero.text.config import TextTable

Optimizer = Literal["adamw", "muon"]
PRINCIPAL_OF_STUDENTS = (
    "model.principal: the directions are those of a cloud's space, in which a student lives; set principal for the "
    "student instead"
)
SOURCES = ("backbone", "embeddings", "onnx", "program", "directory", "module")
"""Keys that name a cloud model that is not trained here."""
COMPARES_WITH_CLOUD = ("label-free", "agreement")
"""Figures that need the cloud's vectors of the validation images."""

JudgedBy = Annotated[str, Choice("auto", *COMPARES_WITH_CLOUD)]
"""How weights are chosen among those that a training passes: by one of these, or by a metric of retrieval."""


@settings
class TrainingConfig:
    """The training of a cloud model or a student.

    Attributes:
        steps: Optimiser steps. ``"auto"`` trains at a constant rate until the held-out curves have flattened, and
            finishes with a falling one: see :mod:`hetero.training.optimisation.schedule`.
        max_steps: Most steps of ``"auto"``.
        sampling: ``classes`` draws some classes for each batch and some images of each; ``images`` draws images,
            whatever their class: each once an epoch, as itself or as one of its changed copies. ``auto`` draws classes
            where an objective compares by class, else images.
        classes_per_batch: Classes drawn for each batch; under ``torchrun`` the processes share them.
        images_per_class: Images drawn for each of them.
        batch: Images in a batch, in place of ``classes_per_batch`` times ``images_per_class``; where classes are drawn,
            as many whole classes as fit. 0 takes that product.
        optimizer: ``adamw``, or ``muon``, which makes the steps of matrices and filters orthogonal and takes AdamW for
            the rest: it gets further in the same number of steps (docs/results.md).
        learning_rate: Peak, reached after the warm-up, then falling to zero: along a cosine, or in the last steps of
            ``"auto"`` along a root. None takes the value that suits optimiser and schedule. Under ``muon`` it is the
            rate of matrices; the rest takes 0.3 times as much.
        weight_decay: Decoupled decay; applied to matrices and filters only. None takes the optimiser's usual value.
        warmup: Share of the steps; with ``"auto"`` of the fewest steps that it may take.
        mixup: Mix each image of a batch with another, and the cloud's vectors of the two: parameter of the Beta
            distribution of the shares (arXiv 1710.09412; .2 to 1 is usual). Only with objectives that look at the
            cloud's vectors and not at classes. 0 mixes no images.
        average: Validate and keep a moving average of the weights, of which each step keeps this share, such as .999.
            0 keeps the weights themselves.
        clip: Largest gradient norm; 0 clips nothing.
        validate_every: Steps between looks at the validation images; the best weights are kept.
        judged_by: Figure by which weights are chosen, see :mod:`hetero.training.judging.validation`. ``auto``:
            ``map@r`` where the validation images have labels; otherwise ``label-free``, which needs the cloud's vectors
            of them.
        candidates_from: Share of the steps (of ``"auto"``: of those whose rate falls) after which weights are
            candidates for the best; before that, the rate is high, and a lucky figure on few validation classes means
            little.
        checkpoint_every: Steps between checkpoints, from which an interrupted run continues.
        precision: Fabric's name for it; ``32-true``, ``bf16-mixed`` or, on GPUs, ``16-mixed``. Objectives compute in
            float32 in any case.
        compile: Compile the model's steps with ``torch.compile``: worth it on GPUs and in long trainings. On the CPU it
            needs a C++ compiler.
        threads: CPU threads. Equal numbers give bit-identical runs on CPU. 0 takes all cores; in a recipe's run, where
            other models may train at the same time, its share of them (:mod:`hetero.pipeline.engine.threads`).
        augment: Random changes to the training images; None takes those that suit the model: strong changes for one
            that learns from labels, light ones for a student that learns the cloud's vectors of the unchanged images,
            and none where the images have changed copies already and no live cloud embeds more.
    """

    steps: Count | Literal["auto"] = 900
    max_steps: Count = 10_000
    sampling: Literal["auto", "classes", "images"] = "auto"
    classes_per_batch: Count = 43
    images_per_class: Count = 3
    batch: Number = 0
    optimizer: Optimizer = "muon"
    learning_rate: Positive | None = None
    weight_decay: NotNegative | None = None
    warmup: Share = 0.1
    mixup: NotNegative = 0.0
    average: PartialShare = 0.0
    clip: NotNegative = 5.0
    validate_every: Count = 100
    judged_by: JudgedBy = "auto"
    candidates_from: Share = 0.8
    checkpoint_every: Count = 100
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = False
    threads: Number = 0
    augment: AugmentConfig | None = None

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        from hetero.training.optimisation.steps import fewest_steps

        fewest = fewest_steps(self.validate_every)
        if self.steps != "auto" or self.max_steps >= fewest:
            return []
        return [
            f"max_steps: expected {fewest} or more, got {self.max_steps}; the held-out curve that ends steps = 'auto' "
            f"is read from looks that are {self.validate_every} steps apart (validate_every)"
        ]


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
        name: Name for people and files.
        version: Version for people.
        preprocessing: Preparation of its images, where that differs from the students'; None for the recipe's. With its
            own, images and their changed copies are prepared twice: the same pictures, once for each kind of model.
        backbone: A published network whose vectors are the space as they are; then nothing is trained.
            ``efficientnet_lite0``, ``1`` or ``2`` takes images of the size and with the normalisation that it was
            trained with, otherwise prepared as the recipe's. ``timm:NAME``, ``open_clip:NAME`` and ``hf:NAME``, where a
            directory may take NAME's place, take them as their library prepares them. ``preprocessing`` gives another
            size. ``model = "NAME"`` says the same.
        weights: Weights of such a network as ``.safetensors``; empty for those of the directory, or that the hub's
            cache holds. None are fetched.
        embeddings: A file of embeddings already computed for the images; then nothing is trained.
        onnx: A cloud model as an ONNX file; then nothing is trained.
        program: A cloud model as a ``.pt2`` file, which ``torch.export.save`` wrote; then nothing is trained. It may
            hold code, and takes permission like code.
        directory: A model directory, which says itself how its images are prepared; then nothing is trained.
        module: A cloud model as code, ``module:attribute``: an ``nn.Module``, a ``hetero.ModuleEmbedder``, or a
            function without arguments that returns one; then nothing is trained.
        macs: Multiply-accumulates of an image, for students that cost a share of them; only for a model that is a
            file, and so not counted. 0 when the number is not known.
        parameters: The number of its weights, likewise.
        text: Vectors of texts in its space, for text queries; None for none.
        copies: Changed copies of each training image that it embeds for the students to learn from.
        copies_augment: Strength of the copies' changes.
        model: Its architecture.
        head: Its margin softmax.
        objectives: Terms of its objective.
        training: Its training.
    """

    name: Text = "cloud"
    version: str = "1"
    preprocessing: Preprocessing | None = None
    backbone: str = ""
    weights: str = ""
    embeddings: str = ""
    onnx: str = ""
    program: str = ""
    directory: str = ""
    module: str = ""
    macs: Number = 0
    parameters: Number = 0
    text: TextTable | None = None
    copies: Number = 0
    copies_augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(family="residual", pool="gem", stem_channels=32))
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("own_head"),
        ObjectiveConfig("supervised_contrastive"),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def rules(self) -> list[str]:
        """Return one problem for each rule beyond the fields' types that is broken."""
        return [PRINCIPAL_OF_STUDENTS] if self.model.principal else []

    @property
    def sources(self) -> dict[str, str]:
        """Sources of a model that is not trained here, by the key that names them; more than one is a mistake."""
        return {key: value for key in SOURCES if (value := getattr(self, key))}

    @property
    def is_external(self) -> bool:
        """True if it is not trained here."""
        return bool(self.sources)

    @property
    def is_counted(self) -> bool:
        """True if its cost is counted here; of a file, only its owner can state the cost."""
        return not (self.embeddings or self.onnx or self.program)


@settings
class StudentConfig:
    """A student: a small model trained to live in the cloud's space.

    Attributes:
        name: Name for people and files.
        independent: Train without the cloud model: a control that shows the worth of compatible training. Not exported.
        live: Run the cloud model on each augmented batch instead of taking its cached vectors: slower, but its vectors
            belong to the very images that the student sees.
        refresh: Run it on this share of each batch only. Its vectors are kept, and the changed images shown again with
            them later, so that each image gains changed copies over time; 0 never runs it.
        model: Its architecture; the embedding dimension is always the cloud's.
        start: A model directory whose weights it starts from: of the same family, stages and width; empty for random
            weights, or those that come with the family.
        principal: Number of leading principal directions of the cloud's training vectors that its last layer works in
            (see docs/space.md); 0 learns all dimensions, and ``auto`` takes the number that the vectors suggest.
        refit: True to fit the last layer once more after training, in closed form, and keep the fit unless the
            validation figure falls.
        max_macs: Most multiply-accumulates an image; the widest model within them is trained. 0 keeps the width.
        max_macs_share: The same limit as a share of the cloud model's; 0 for no such limit.
        max_parameters: Most weights; 0 for no limit.
        head: Margin of its own head and of the frozen cloud head.
        objectives: Terms of its objective. By default: the cloud's direction of each image from the space's centre, and
            a vector nearer in the gallery to its own image's than to others'. Neither needs labels; docs/results.md
            shows the effect of leaving each out.
        training: Its training.
        adapt: A new domain that a recipe's run adapts it to afterwards: a second model, named after it.
        anchor_factors: Part for which a recipe's run keeps the factors of its training photos, so that it can be
            adapted where they are gone; None keeps none.
    """

    name: Text
    independent: bool = False
    live: bool = False
    refresh: PartialShare = 0.0
    model: ModelConfig = field(default_factory=ModelConfig)
    start: str = ""
    principal: Number | Literal["auto"] = "auto"
    refit: bool = False
    max_macs: Number = 0
    max_macs_share: Share = 0.0
    max_parameters: Number = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    objectives: tuple[Term, ...] = (
        ObjectiveConfig("cloud_regression", 10.0, centred=True),
        ObjectiveConfig("instance_contrastive", temperature=0.1, relative=True),
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)
    adapt: NewDomain | None = None
    anchor_factors: Part | None = None

    @property
    def before_adapted(self) -> StudentConfig:
        """The student as it is trained, before any adaptation."""
        return replace(self, adapt=None, anchor_factors=None)

    @property
    def adapted(self) -> StudentConfig:
        """The student once it is adapted."""
        return replace(self, name=f"{self.name}-adapted", adapt=None, anchor_factors=None)

    @property
    def embeds_live(self) -> float:
        """Share of each batch that the cloud model embeds while the student trains."""
        return 1.0 if self.live else self.refresh

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        problems = [PRINCIPAL_OF_STUDENTS] if self.model.principal else []
        if self.principal not in (0, "auto") and self.independent:
            problems.append("principal: directions are the cloud's, and an independent student has none; leave it out")
        if self.refit and self.independent:
            problems.append("refit: is to the cloud's vectors, and an independent student has none; leave it out")
        if self.adapt and self.independent:
            problems.append("adapt: is into the cloud's gallery, and an independent student finds nothing there")
        if self.live and self.refresh:
            problems.append(
                f"refresh: live = true embeds every image of a batch, got {self.refresh:g}; leave one of them out"
            )
        return problems
