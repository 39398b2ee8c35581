"""What a method's students have of their own, and what the comparison gives them."""

from __future__ import annotations

import dataclasses

from hetero.compare.method import ARCHITECTURE, BUDGET, MethodConfig, default_student
from hetero.data.augmentation.config import AugmentConfig
from hetero.models.config import ModelConfig
from hetero.objectives.config import ObjectiveConfig
from hetero.training.config import HeadConfig, StudentConfig, TrainingConfig

SHARED = StudentConfig(
    "student",
    model=ModelConfig(family="edge", dimension=12),
    principal=0,
    refit=True,
    max_macs=7,
    max_macs_share=0.5,
    max_parameters=9,
    head=HeadConfig(margin=0.4),
    objectives=(ObjectiveConfig("csd"),),
    training=TrainingConfig(
        steps=6,
        sampling="classes",
        classes_per_batch=5,
        images_per_class=4,
        batch=3,
        optimizer="adamw",
        learning_rate=6e-3,
        weight_decay=0.5,
        warmup=0.2,
        clip=1.0,
        validate_every=2,
        judged_by="cmc@1",
        candidates_from=0.5,
        checkpoint_every=8,
        precision="bf16-mixed",
        threads=1,
        augment=AugmentConfig(rotation=0.0),
    ),
)
"""Unlike the default in all that a comparison decides."""
TERM = ObjectiveConfig("hvs_composite", 0.3)


def test_the_default_student_takes_the_budget_and_nothing_else_of_the_shared_training():
    (student,) = MethodConfig("default", default=True).students(SHARED)
    budget = {
        "steps": 6,
        "classes_per_batch": 5,
        "images_per_class": 4,
        "batch": 3,
        "validate_every": 2,
        "judged_by": "cmc@1",
        "candidates_from": 0.5,
        "checkpoint_every": 8,
        "precision": "bf16-mixed",
        "threads": 1,
    }
    assert student.training == TrainingConfig(**budget)


def test_the_default_student_takes_the_architecture_and_nothing_else_of_the_shared_student():
    (student,) = MethodConfig("default", default=True).students(SHARED)
    architecture = {
        "model": ModelConfig(family="edge", dimension=12),
        "max_macs": 7,
        "max_macs_share": 0.5,
        "max_parameters": 9,
        "head": HeadConfig(margin=0.4),
    }
    assert student == StudentConfig("default", training=student.training, **architecture)


def test_of_every_field_it_is_known_whose_it_is():
    own = {"optimizer", "learning_rate", "weight_decay", "warmup", "sampling", "mixup", "average", "clip", "augment"}
    never = {"max_steps"}  # of steps = "auto", which no comparison takes
    assert {*BUDGET} | own | never == {field.name for field in dataclasses.fields(TrainingConfig)}
    own = {"objectives", "principal", "refit", "refresh"}
    of_the_method = {"name", "independent", "live", "training"}
    never = {"adapt", "anchor_factors"}  # refused: they come after what a method trains
    assert {*ARCHITECTURE} | own | of_the_method | never == {field.name for field in dataclasses.fields(StudentConfig)}


def test_terms_beside_the_default_follow_its_own():
    method = MethodConfig("more", default=True, variants=((TERM,), (TERM, ObjectiveConfig("raml"))))
    first, second = method.students(SHARED)
    own = StudentConfig("x").objectives
    assert (first.name, first.objectives) == ("more.1", (*own, TERM))
    assert (second.name, second.objectives) == ("more.2", (*own, TERM, ObjectiveConfig("raml")))


def test_another_optimizer_comes_with_its_own_rate_and_changes_nothing_else():
    (student,) = MethodConfig("other", objectives=(TERM,), optimizer="muon").students(SHARED)
    training = dataclasses.replace(SHARED.training, optimizer="muon", learning_rate=None)
    assert student == dataclasses.replace(SHARED, name="other", objectives=(TERM,), training=training)


def test_a_method_may_change_images_in_its_own_way():
    changes = AugmentConfig(rotation=20.0)
    (student,) = MethodConfig("turned", objectives=(TERM,), augment=changes).students(SHARED)
    assert student.training == dataclasses.replace(SHARED.training, augment=changes)
    (student,) = MethodConfig("default", default=True, augment=changes).students(SHARED)
    assert student.training.augment == changes


def test_an_adapter_trains_no_student():
    assert MethodConfig("turned", adapter="procrustes", of="plain").students(SHARED) == []


def test_the_default_student_without_others_is_the_one_that_a_recipe_gets():
    assert default_student(StudentConfig("edge")) == StudentConfig("edge")
