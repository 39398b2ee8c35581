"""Embedding in shards: time, peak memory, and the bytes after kills, or after a node of a cluster was lost.

    python -m benchmarks.shards.write /data/million
    python -m benchmarks.embedding_shards /data/million --kills 5 --train 500
    python -m benchmarks.embedding_shards /data/million --ray

The model is a small untrained student; its vectors are as dear as a trained one's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import peak_resident_bytes, where_and_when
from hetero import (
    CloudReference,
    EmbeddingModel,
    ModelConfig,
    Preprocessing,
    Stage,
    StudentConfig,
    TrainingConfig,
    prepare,
    save_model,
    train_student,
)
from hetero.data.checking.check import config_for

SIDE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/embedding-shards"))
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--ray", action="store_true", help="on a test cluster of two nodes, of which one is killed")
    parser.add_argument("--keep", action="store_true", help="take the shards of an earlier run for the whole ones")
    parser.add_argument("--train", type=int, default=0, help="steps of a student that is trained against the shards")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    model = _model(options.work / "model", options.dimension, options.seed)
    command = [sys.executable, "-m", "hetero", "embed", str(model), str(options.data)]
    settings = ["--dtype", options.dtype, "--batch-size", "256"]
    figures: dict[str, Any] = {"seed": options.seed}
    if not options.keep:
        figures["whole"] = _whole(command, options.work / "whole", settings)
    whole = _digests(options.work / "whole")
    figures["shards"] = len(whole) - 1
    figures["disk_mb"] = round(sum(path.stat().st_size for path in (options.work / "whole").iterdir()) / 1e6)
    if options.kills:
        figures["killed"] = _killed(command, options.work / "killed", settings, options.kills, len(whole) - 1)
        figures["killed"]["equal_bytes"] = _digests(options.work / "killed") == whole
    if options.ray:
        figures["ray"] = _on_cluster(command, options.work / "ray", settings, len(whole) - 1)
        figures["ray"]["equal_bytes"] = _digests(options.work / "ray") == whole
    if options.train:
        figures["student"] = _trained(options.data, options.work, options.train, options.dimension, options.seed)
    print(json.dumps(figures | where_and_when(), indent=2))


def _model(directory: Path, dimension: int, seed: int) -> Path:
    import torch

    from hetero.training.outcome import own_space

    torch.manual_seed(seed)
    config = ModelConfig(dimension=dimension, stem_channels=8, stages=(Stage(channels=16, stride=2),) * 2)
    model = EmbeddingModel("edge", config, Preprocessing(SIDE, SIDE)).eval()
    model.space = own_space(model)
    save_model(directory, model, {})
    return directory


def _whole(command: list[str], out: Path, settings: list[str]) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    return _run([*command, str(out), *settings], kill=None)


def _killed(command: list[str], out: Path, settings: list[str], kills: int, shards: int) -> dict[str, Any]:
    """Kill the command each time when it has written a further part of the shards, then let it finish."""
    shutil.rmtree(out, ignore_errors=True)
    runs = [_run([*command, str(out), *settings], kill=(out, (n + 1) * shards // (kills + 1))) for n in range(kills)]
    runs.append(_run([*command, str(out), *settings], kill=None))
    return {"runs": runs, "kills": sum(run["status"] == -signal.SIGKILL for run in runs)}


def _run(command: list[str], kill: tuple[Path, int] | None) -> dict[str, Any]:
    start = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, "HETERO_PROGRESS": "quiet"}) as process:
        peaks = {"VmHWM": 0, "RssAnon": 0}
        while (ended := os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
            _look(process.pid, peaks)
            if kill and kill[0].is_dir() and len(list(kill[0].glob("0*.parquet"))) >= kill[1]:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.1)
        del ended
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "status": process.returncode,
        "wall_seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(peaks["VmHWM"] / 1e3),
        "peak_without_mapped_files_mb": round(peaks["RssAnon"] / 1e3),
    }


def _look(process: int, peaks: dict[str, int]) -> None:
    """Note the most memory that a process has held."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, rest = line.partition(":")
        if name in peaks:
            peaks[name] = max(peaks[name], int(rest.split()[0]))


def _on_cluster(command: list[str], out: Path, settings: list[str], shards: int) -> dict[str, Any]:
    """Embed on two nodes of one core each; kill one of them when a third of the shards is there."""
    from ray.cluster_utils import Cluster

    shutil.rmtree(out, ignore_errors=True)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    start = time.perf_counter()
    try:
        with subprocess.Popen([*command, str(out), *settings, "--ray", cluster.address]) as process:
            at = -1
            while process.poll() is None:
                if at < 0 and out.is_dir() and (there := len(list(out.glob("0*.parquet")))) >= shards // 3:
                    cluster.remove_node(second, allow_graceful=False)
                    at = there
                time.sleep(0.1)
    finally:
        cluster.shutdown()
    return {"status": process.returncode, "wall_seconds": round(time.perf_counter() - start, 1), "node_killed_at": at}


def _trained(data: Path, work: Path, steps: int, dimension: int, seed: int) -> dict[str, Any]:
    """Train a student against the shards; a hundredth of the classes is held out."""
    config = config_for(data, validation_share=0.01)
    training = TrainingConfig(steps=steps, validate_every=steps, checkpoint_every=steps, batch=96, threads=1)
    architecture = ModelConfig(dimension=dimension, stem_channels=8, stages=(Stage(channels=16, stride=2),))
    student = StudentConfig("student", model=architecture, training=training)
    shape, figures = Preprocessing(SIDE, SIDE), dict[str, Any]()

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        figures[f"{stage}_wall_seconds"] = round(time.perf_counter() - wall, 1)
        figures[f"{stage}_cpu_seconds"] = round(time.process_time() - cpu, 1)
        return result

    dataset = timed("prepare", lambda: prepare(config, shape))
    cloud = timed("reference", lambda: CloudReference.from_file(work / "whole", dataset))
    shutil.rmtree(work / "student", ignore_errors=True)
    timed("train", lambda: train_student(dataset, cloud, student, shape, work / "student", seed=seed))
    figures |= {"train": len(dataset.train), "validation": len(dataset.validation), "steps": steps}
    metrics = json.loads((work / "student" / "metrics.json").read_text())
    return {**figures, "figures": metrics["validation"], "peak_mb": round(peak_resident_bytes() / 1e6)}


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.iterdir()) if path.name != ".lock")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()
