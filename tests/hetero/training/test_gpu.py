"""The paths that a machine with a GPU takes: nothing here runs elsewhere.

``python -m tests.hetero.training.test_gpu OUT`` trains on whatever there is, because checked shapes are not for the
compiler.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hetero.training.cloud import train_cloud
from hetero.training.loop import loop
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

ROOT = Path(__file__).parents[3]
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bfloat16": {"precision": "bf16-mixed"},
    "float16": {"precision": "16-mixed"},
    "compiled": {"compile": True},
    "compiled in bfloat16": {"precision": "bf16-mixed", "compile": True},
}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="not verified: there is no CUDA GPU here")
def test_every_precision_and_compiled_steps_train_on_the_gpu(tmp_path):
    command = [sys.executable, "-m", "tests.hetero.training.test_gpu", str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["devices"] == ["cuda"] and found["losses"].keys() == SETTINGS.keys()
    for name, losses in found["losses"].items():
        assert losses == pytest.approx(found["losses"]["plain"], rel=0.1), name


def main(out: Path) -> None:
    devices: set[str] = set()
    step = loop._Loop._step

    def watched(self: Any, number: int, batch: Any) -> Any:
        devices.update({batch.pixels.device.type, next(self.module.parameters()).device.type})
        return step(self, number, batch)

    loop._Loop._step = watched
    losses: dict[str, list[float]] = {}
    for name, settings in SETTINGS.items():
        if "16-mixed" in settings.values() and not torch.accelerator.is_available():
            continue
        config = cloud(steps=6)
        training = dataclasses.replace(config.training, validate_every=6, **settings)
        train_cloud(dataset(), dataclasses.replace(config, training=training), SHAPE, out / name)
        lines = [json.loads(line) for line in (out / name / "log.jsonl").read_text().splitlines()]
        losses[name] = [line["loss"] for line in lines if "loss" in line]
    print(json.dumps({"devices": sorted(devices), "losses": losses}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
