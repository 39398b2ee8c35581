"""The moving average of weights, by hand and through the loop."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from hetero.errors import InputError
from hetero.training.config import StudentConfig, TrainingConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.loop import Run, fit
from hetero.training.optimisation.average import AveragedWeights
from hetero.training.quantization_aware import short
from tests.hetero.training.test_loop import CONFIG, Killed, image_set, module, weight_norm

AVERAGING = dataclasses.replace(CONFIG, average=0.9)


def test_the_average_by_hand() -> None:
    trained = module()
    average = AveragedWeights(trained, 0.3)
    expected = trained.model.embedding.weight.detach().clone()  # pyright: ignore[reportAttributeAccessIssue]
    for step in (1, 2, 3):
        with torch.no_grad():
            for tensor in trained.state_dict().values():
                tensor.add_(step)
        average.update(trained, step)
        decay = min(0.3, (1 + step) / (10 + step))  # 2/11, 3/12, then .3
        expected = decay * expected + (1 - decay) * trained.model.embedding.weight.detach()  # pyright: ignore[reportAttributeAccessIssue]
    torch.testing.assert_close(average.module.model.embedding.weight.detach(), expected)  # pyright: ignore[reportAttributeAccessIssue]
    neck, theirs = average.module.model.neck, trained.model.neck  # pyright: ignore[reportAttributeAccessIssue]
    assert neck.num_batches_tracked == theirs.num_batches_tracked == 6, "counts are copied"
    assert not torch.equal(neck.running_mean, theirs.running_mean), "statistics are averaged"
    assert not any(parameter.requires_grad for parameter in average.module.parameters())


def test_the_average_is_judged_and_kept_and_training_goes_on_with_the_weights(tmp_path: Path) -> None:
    images = image_set(6, 4, 16)
    judged: list[dict[str, torch.Tensor]] = []

    def validate(model: Any) -> Judgement:
        judged.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return Judgement("map@r", {"map@r": float(len(judged))})

    plain, averaged = module(), module()
    fit(plain, images, CONFIG, Run(tmp_path / "plain", "id", 1, "x"), validate=weight_norm)
    outcome = fit(averaged, images, AVERAGING, Run(tmp_path / "averaged", "id", 1, "x"), validate=validate)
    assert outcome.best.step == 12 and len(judged) == 3
    kept = {name.removeprefix("model."): tensor for name, tensor in averaged.state_dict().items()}
    assert all(torch.equal(kept[name], tensor) for name, tensor in judged[-1].items())
    assert not torch.equal(averaged.model.embedding.weight, plain.model.embedding.weight)  # pyright: ignore[reportAttributeAccessIssue]
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("plain", "averaged")]
    losses = [[line.split('"images')[0] for line in one if "loss" in line] for one in lines]
    assert losses[0] == losses[1], "the weights in training are the same"


def test_a_killed_run_ends_in_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    images, whole, resumed = image_set(6, 4, 16), module(), module()
    fit(whole, images, AVERAGING, Run(tmp_path / "whole", "id", 1, "x"), validate=weight_norm)

    def dies(_: object) -> float:
        raise Killed

    run = Run(tmp_path / "killed", "id", 1, "x")
    with pytest.raises(Killed):
        fit(module(), images, AVERAGING, run, validate=dies)
    fit(resumed, images, AVERAGING, run, validate=weight_norm)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_what_makes_no_sense_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"refresh: live = true embeds every image .*got 0.5"):
        StudentConfig("s", live=True, refresh=0.5)
    with pytest.raises(InputError, match="average"):
        TrainingConfig(average=1.0)
    assert short(AVERAGING, 8).average == 0, "a fine-tuning is short"
