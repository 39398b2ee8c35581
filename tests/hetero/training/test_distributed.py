"""The same loop under ``torchrun`` on two CPU processes, and in mixed precision."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import os, sys, torch
from pathlib import Path
import numpy as np
from hetero.data.images import ImageSet
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.objectives.registry import Head
from hetero.preprocessing import Preprocessing
from hetero.objectives.config import ObjectiveConfig
from hetero.training.config import TrainingConfig
from hetero.training.loop import Run, fit
from hetero.training.module import TrainingModule

os.environ["CUDA_VISIBLE_DEVICES"] = ""
torch.manual_seed(0)
pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
images = ImageSet(pixels, np.repeat(np.arange(6), 4), tuple("abcdef"),
                  np.zeros(24, np.int64), ("all",), tuple(str(row) for row in range(24)), "x")
model = EmbeddingModel("tiny", ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),)),
                       Preprocessing(height=16, width=16))
module = TrainingModule.of(model, (ObjectiveConfig("own_head"), ObjectiveConfig("supervised_contrastive")),
                           Head(6, 8, "arcface", 0.1, 8.0))
config = TrainingConfig(steps=10, classes_per_batch=4, images_per_class=4, validate_every=5, threads=1,
                        precision=sys.argv[2])
outcome = fit(module, images, config, Run(Path(sys.argv[1]), "id", 1, "x"), validate=lambda model: 0.5)
total = float(sum(parameter.detach().double().sum() for parameter in module.parameters()))
Path(sys.argv[1], f"rank{os.environ.get('RANK', '0')}").write_text(f"{outcome.steps} {total!r}")
"""  # fmt: skip


def run(tmp_path, *command: str) -> list[str]:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    answer = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return [path.read_text() for path in sorted(tmp_path.glob("rank*"))]


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights(tmp_path):
    command = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    outcomes = run(tmp_path, *command, str(tmp_path / "program.py"), str(tmp_path), "32-true")
    assert len(outcomes) == 2
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].startswith("10 ")


@pytest.mark.slow
def test_mixed_precision_trains(tmp_path):
    (outcome,) = run(tmp_path, str(tmp_path / "program.py"), str(tmp_path), "bf16-mixed")
    assert outcome.startswith("10 ") and "nan" not in outcome
