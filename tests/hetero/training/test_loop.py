"""The loop's promises: what resumes equals what never stopped, and the loss curve stays as it was."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from hetero.data.images import ImageSet
from hetero.errors import InputError, IntegrityError
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.registry import Head
from hetero.preprocessing import Preprocessing
from hetero.training.config import TrainingConfig
from hetero.training.loop import Run, fit
from hetero.training.module import TrainingModule
from hetero.training.optimizer import learning_rate
from hetero.training.sampling import GroupSampler

CONFIG = TrainingConfig(
    steps=12,
    candidates_from=0.0,
    classes_per_batch=4,
    images_per_class=2,
    validate_every=4,
    checkpoint_every=3,
    threads=1,
)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the loop may catch it."""


def image_set(classes: int, each: int, side: int) -> ImageSet:
    count = classes * each
    return ImageSet(
        images=np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(classes), each),
        classes=tuple(str(label) for label in range(classes)),
        views=np.zeros(count, np.int64),
        view_names=("all",),
        names=tuple(str(row) for row in range(count)),
        fingerprint="x",
    )


@pytest.fixture
def images():
    return image_set(6, 4, 16)


def module() -> TrainingModule:
    torch.manual_seed(0)
    config = ModelConfig(family="edge", dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    head = Head(classes=6, dimension=8, kind="arcface", margin=0.1, scale=8.0)
    model = EmbeddingModel("tiny", config, Preprocessing(height=16, width=16))
    return TrainingModule.of(model, (ObjectiveConfig("own_head"),), head)


class Seen(TrainingModule):
    """Keeps the rows and labels that each step was shown."""

    def __init__(self) -> None:
        built = module()
        super().__init__(built.model, dict(built.objectives.items()), built.weights)
        self.rows: list[list[int]] = []
        self.labels: list[list[int]] = []

    def forward(self, pixels, labels, rows, cloud, targets=None):
        self.rows.append(rows.tolist())
        self.labels.append(labels.tolist())
        return super().forward(pixels, labels, rows, cloud, targets)


def weight_norm(model) -> float:
    return float(sum(parameter.detach().abs().sum() for parameter in model.parameters()))


def test_a_killed_run_ends_in_the_bits_of_an_uninterrupted_one(images, tmp_path):
    whole = module()
    fit(whole, images, CONFIG, Run(tmp_path / "whole", "id", 1, "whole"), validate=weight_norm)

    def dying(calls_left: int):
        def validate(model):
            nonlocal calls_left
            calls_left -= 1
            if calls_left < 0:
                raise Killed
            return weight_norm(model)

        return validate

    run = Run(tmp_path / "killed", "id", 1, "killed")
    for survived in (0, 1):
        with pytest.raises(Killed):
            fit(module(), images, CONFIG, run, validate=dying(survived))
    resumed = module()
    outcome = fit(resumed, images, CONFIG, run, validate=weight_norm)

    assert outcome.steps == 12
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name

    def losses(path):
        entries = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
        return [(entry["step"], entry.get("loss"), entry.get("validation")) for entry in entries]

    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_clip_zero_clips_nothing(images, tmp_path):
    trained = {}
    for clip in (0.0, 1e9, 1e-9):
        trained[clip] = module()
        config = dataclasses.replace(CONFIG, clip=clip, weight_decay=0.0)
        fit(trained[clip], images, config, Run(tmp_path / str(clip), "id", 1, "clip"), validate=weight_norm)
    free, wide, narrow = (trained[clip].state_dict() for clip in (0.0, 1e9, 1e-9))
    assert all(torch.equal(tensor, wide[name]) for name, tensor in free.items())
    assert any(not torch.equal(tensor, narrow[name]) for name, tensor in free.items() if "prototypes" in name)


def test_the_best_weights_on_validation_are_kept(images, tmp_path):
    trained = module()
    figures = iter([0.5, 0.9, 0.1])
    seen = []

    def validate(model):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(figures)

    outcome = fit(trained, images, CONFIG, Run(tmp_path, "id", 1, "best"), validate=validate)
    assert (outcome.best_step, outcome.best) == (8, 0.9)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, seen[1][name]), name


def test_weights_are_no_candidates_while_the_rate_is_high(images, tmp_path):
    figures = iter([0.9, 0.5, 0.4])
    config = dataclasses.replace(CONFIG, candidates_from=0.6)
    outcome = fit(module(), images, config, Run(tmp_path, "id", 1, "late"), validate=lambda _: next(figures))
    assert (outcome.best_step, outcome.best) == (8, 0.5)


def test_a_checkpoint_of_another_run_is_not_continued(images, tmp_path):
    fit(module(), images, CONFIG, Run(tmp_path, "first", 1, "first"), validate=weight_norm)
    fresh, other = module(), module()
    fit(fresh, images, CONFIG, Run(tmp_path / "elsewhere", "second", 2, "second"), validate=weight_norm)
    fit(other, images, CONFIG, Run(tmp_path, "second", 2, "second"), validate=weight_norm)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), other.parameters(), strict=True))


def test_a_damaged_checkpoint_is_named(images, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{nonsense")
    with pytest.raises(IntegrityError, match=r"checkpoint.safetensors is not a readable checkpoint"):
        fit(module(), images, CONFIG, Run(tmp_path, "id", 1, "damaged"), validate=weight_norm)


def test_training_that_diverges_says_what_to_do(images, tmp_path):
    config = dataclasses.replace(CONFIG, steps=10)
    broken = module()
    with torch.no_grad():
        broken.model.embedding.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="lower learning_rate"):
        fit(broken, images, config, Run(tmp_path, "id", 1, "diverging"), validate=lambda _: 0.0)


def test_batches_are_drawn_as_they_are_needed_and_are_the_samplers(images, tmp_path, monkeypatch):
    drawn: list[int] = []
    read: list[list[int]] = []
    draw = GroupSampler.batch

    def counted(self, step):
        drawn.append(step)
        return draw(self, step)

    class Watched:
        shape = images.images.shape

        def __len__(self):
            return len(images)

        def __getitem__(self, rows):
            read.append(rows.tolist())
            return images.images[rows]

    monkeypatch.setattr(GroupSampler, "batch", counted)
    drawn_when_judged: list[int] = []

    def judge(_):
        drawn_when_judged.append(len(drawn))
        return 0.5

    watched = dataclasses.replace(images, images=Watched())
    seen = Seen()
    fit(seen, watched, CONFIG, Run(tmp_path, "id", 7, "lazy"), validate=judge)
    assert drawn_when_judged == [6, 10, 12]  # two ahead of steps 4, 8 and 12
    sampler = GroupSampler(images.labels, groups_per_batch=4, images_per_group=2, seed=7)
    expected = [draw(sampler, step).tolist() for step in range(12)]
    assert read == expected and seen.rows == expected
    assert seen.labels == [images.labels[rows].tolist() for rows in expected]


def test_training_learns(images, tmp_path):
    trained = module()
    config = dataclasses.replace(CONFIG, steps=80, classes_per_batch=6, images_per_class=4, validate_every=80)
    fit(trained, images, config, Run(tmp_path, "id", 1, "learning"), validate=lambda _: 0.0)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]


def test_the_rate_warms_up_and_falls_to_zero():
    config = TrainingConfig(steps=100, warmup=0.1, learning_rate=1.0)
    assert learning_rate(config, 5) == pytest.approx(0.5)
    assert learning_rate(config, 10) == 1.0
    assert learning_rate(config, 55) == pytest.approx(0.5)
    assert learning_rate(config, 100) == pytest.approx(0.0)
