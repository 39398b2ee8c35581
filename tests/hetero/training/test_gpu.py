"""The paths that a machine with a GPU takes: nothing here runs elsewhere."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from hetero.models.directory import load_model
from hetero.training.cloud import train_cloud
from hetero.training.loop import loop
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="not verified: there is no CUDA GPU here")

DATA = dataset()


def trained(directory, monkeypatch, **settings):
    """The losses of a training, and the devices of its images and weights."""
    devices: set[str] = set()
    step = loop._Loop._step

    def watched(self, number, batch):
        devices.update({batch.pixels.device.type, next(self.module.parameters()).device.type})
        return step(self, number, batch)

    monkeypatch.setattr(loop._Loop, "_step", watched)
    config = cloud(steps=6)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, **settings))
    train_cloud(DATA, config, SHAPE, directory)
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    assert load_model(directory).mean.device.type == "cpu"
    return [line["loss"] for line in lines if "loss" in line], devices


def test_every_precision_and_compiled_steps_train_on_the_gpu(tmp_path, monkeypatch):
    plain, devices = trained(tmp_path / "32-true", monkeypatch)
    assert devices == {"cuda"}
    for name, settings in {
        "bf16-mixed": {"precision": "bf16-mixed"},
        "16-mixed": {"precision": "16-mixed"},
        "compiled": {"compile": True},
        "both": {"precision": "bf16-mixed", "compile": True},
    }.items():
        losses, devices = trained(tmp_path / name, monkeypatch, **settings)
        assert devices == {"cuda"}, name
        assert losses == pytest.approx(plain, rel=0.1), name
