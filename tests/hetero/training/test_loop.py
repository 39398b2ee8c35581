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
from hetero.objectives.head import Head
from hetero.preprocessing import Preprocessing
from hetero.training.batches.sampling import GroupSampler
from hetero.training.config import TrainingConfig
from hetero.training.judging.curves import Look
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.checkpoint import Progress
from hetero.training.loop.log import in_words
from hetero.training.loop.loop import fit
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Run

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


def scored(figure: float) -> Judgement:
    return Judgement("score", {"score": figure})


def weight_norm(model) -> Judgement:
    return scored(float(sum(parameter.detach().abs().sum() for parameter in model.parameters())))


def entries(directory) -> list[dict]:
    return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


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
        return [(entry["step"], entry.get("loss"), entry.get("validation")) for entry in entries(path)]

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
        return scored(next(figures))

    outcome = fit(trained, images, CONFIG, Run(tmp_path, "id", 1, "best"), validate=validate)
    assert (outcome.best.step, outcome.best.judgement.figure) == (8, 0.9)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, seen[1][name]), name


def test_weights_are_no_candidates_while_the_rate_is_high(images, tmp_path):
    figures = iter([0.9, 0.5, 0.4])
    config = dataclasses.replace(CONFIG, candidates_from=0.6)
    outcome = fit(module(), images, config, Run(tmp_path, "id", 1, "late"), validate=lambda _: scored(next(figures)))
    assert (outcome.best.step, outcome.best.judgement.figure) == (8, 0.5)


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
        fit(broken, images, config, Run(tmp_path, "id", 1, "diverging"), validate=lambda _: scored(0.0))


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
        return scored(0.5)

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
    fit(trained, images, config, Run(tmp_path, "id", 1, "learning"), validate=lambda _: scored(0.0))
    losses = [entry["loss"] for entry in entries(tmp_path) if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]


AUTO = dataclasses.replace(CONFIG, steps="auto", max_steps=100, validate_every=2, candidates_from=0.8)
FLAT_AFTER_16 = {
    2 * look: min(0.1 * look, 0.5) for look in range(1, 51)
}  # the last quarters are flat at look 8, step 16


class Figures:
    """Judges by the step, which it counts by the looks; may be killed at one."""

    def __init__(self, looks: int = 0, dies_at: int = 0) -> None:
        self.step, self.dies_at = 2 * looks, dies_at

    def __call__(self, _):
        self.step += 2
        if self.step == self.dies_at:
            raise Killed
        return scored(FLAT_AFTER_16.get(self.step, 0.5))


def test_auto_trains_until_the_figure_is_flat_and_then_lets_the_rate_fall(images, tmp_path):
    seen = Seen()
    outcome = fit(seen, images, AUTO, Run(tmp_path, "id", 1, "auto"), validate=Figures())
    assert outcome.steps == 21 == len(seen.rows)  # 16, and 30 % of them
    looks = [entry["step"] for entry in entries(tmp_path) if "validation" in entry]
    assert looks == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21]
    assert outcome.best.step == 20  # .8 of the 5 steps after 16: before, the rate is high


@pytest.mark.parametrize("dies_at", [8, 16, 18, 20])
def test_a_killed_auto_run_ends_in_the_bits_of_an_uninterrupted_one(images, tmp_path, dies_at):
    whole, resumed = module(), module()
    expected = fit(whole, images, AUTO, Run(tmp_path / "whole", "id", 1, "whole"), validate=Figures())
    run = Run(tmp_path / "killed", "id", 1, "killed")
    with pytest.raises(Killed):
        fit(module(), images, AUTO, run, validate=Figures(dies_at=dies_at))
    checkpoints = (dies_at - 1) // 3 * 3  # every three steps; a look comes first where both are due
    outcome = fit(resumed, images, AUTO, run, validate=Figures(looks=checkpoints // 2))
    assert outcome == expected
    assert all(torch.equal(tensor, resumed.state_dict()[name]) for name, tensor in whole.state_dict().items())


def test_the_largest_number_of_steps_ends_auto(images, tmp_path):
    rising = (scored(0.1 * 2**look) for look in range(100))
    config = dataclasses.replace(AUTO, max_steps=32)
    outcome = fit(module(), images, config, Run(tmp_path, "id", 1, "most"), validate=lambda _: next(rising))
    assert outcome.steps == 32  # 24 and 8; after 26 it would be 34


def beside_a_cloud(images) -> CloudTensors:
    vectors = torch.nn.functional.normalize(
        torch.randn(len(images), 8, generator=torch.Generator().manual_seed(0)), dim=1
    )
    return CloudTensors(vectors, torch.as_tensor(images.labels), torch.arange(len(images)))


def test_the_log_shows_training_and_held_out_agreement_at_each_look(images, tmp_path):
    config = dataclasses.replace(CONFIG, steps=40, validate_every=15, checkpoint_every=20)
    held_out = iter([0.05 * look for look in range(8)])

    def validate(_):
        return Judgement("score", {"score": 0.5, "agreement": next(held_out)})

    run = Run(tmp_path, "id", 1, "curves")
    outcome = fit(module(), images, config, run, validate=validate, cloud=beside_a_cloud(images))
    logged = entries(tmp_path)
    batches = {entry["step"]: entry["agreement"] for entry in logged if "loss" in entry}
    assert list(batches) == [10, 15, 20, 30, 40] and all(-1 <= value <= 1 for value in batches.values())
    looks = {entry["step"]: entry for entry in logged if "validation" in entry}
    assert looks[30]["validation"] == {"score": 0.5, "agreement": 0.05} and looks[30]["judged_by"] == "score"
    means = [(batches[10] + batches[15]) / 2, (batches[20] + batches[30]) / 2, batches[40]]
    assert [looks[step]["training_agreement"] for step in (15, 30, 40)] == pytest.approx(means)
    assert outcome.advice == ()  # three looks are no curve


def test_what_the_curves_say_is_printed_once_and_handed_back(images, tmp_path, capsys):
    config = dataclasses.replace(CONFIG, steps=80, validate_every=10)
    rising = iter([0.1 * look for look in range(8)])
    run = Run(tmp_path, "id", 1, "curves")
    outcome = fit(
        module(),
        images,
        config,
        run,
        validate=lambda _: Judgement("agreement", {"agreement": next(rising)}),
        cloud=beside_a_cloud(images),
    )
    assert outcome.advice == ("train longer: held-out agreement rose by 0.20 in the last quarter of the steps",)
    assert capsys.readouterr().err.count("curves: the curves say\n  - train longer") == 1


def test_the_progress_bar_says_nothing_of_a_best_before_there_is_one():
    progress = Progress("id", 0)
    assert in_words(progress) == ""
    look = Look(5, Judgement("map@r", {"map@r": 0.25, "agreement": 0.5}), 0.625)
    progress = dataclasses.replace(progress, looks=(look,))
    assert in_words(progress) == ", map@r 0.250, agreement 0.62 in training, 0.50 held out"
    assert ", best 0.250" in in_words(dataclasses.replace(progress, best=look))
