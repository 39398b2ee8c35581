"""Runs the snippets of a page, in order, in a directory with a few photos; training is shortened and nothing else."""

from __future__ import annotations

import io
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

import hetero

ROOT = Path(__file__).parents[1]
# What the targets of make and installation do is checked by running them; comparisons have tests of their own, and so
# have students made in one command, backfill plans, which refuse a toy upgrade whose criterion fails, latency tables
# and clusters.
ELSEWHERE = (
    "make ",
    "pip install ",
    "hetero student ",
    "hetero compare ",
    "hetero backfill plan ",
    "hetero device latency ",
    "ray ",
)

PORT_OF_SERVICES = "8765"
AGENT = "torch/distributed/elastic/agent"
"""In the lines of torchrun itself, which reports a machine that ended, with the store of all, before another."""


def lay_out(folder: Path, *, labelled: bool = True) -> Path:
    """Photos of coloured shapes, by split and class or all in one folder, and a file with a cloud model's answers."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("validation", 3), ("test", 4)):
        for label, colour in (("red", 0), ("green", 1), ("blue", 2)):
            place = folder / "photos" / split / label if labelled else folder / "photos"
            place.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = generator.integers(0, 90, (70, 60, 3), dtype=np.uint8)
                pixels[15:50, 10:45, colour] += 140
                Image.fromarray(pixels).save(place / f"{index if labelled else f'{split}-{label}-{index}'}.png")
    _write_shards(folder)
    photos = hetero.prepare(
        hetero.DataConfig(kind="folder", path=str(folder / "photos")), hetero.Preprocessing(height=64, width=64)
    )
    names = [name for part in (photos.train, photos.validation, photos.test) for name in part.names]
    vectors = generator.normal(size=(len(names), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    space = hetero.EmbeddingSpace.define(defined_by="page", name="cloud", version="1", dimension=16)
    hetero.save_embeddings(folder / "cloud_embeddings.safetensors", vectors, names, space)
    return folder


def _write_shards(folder: Path) -> None:
    """The photos of class folders again, as one tar shard a split."""
    (folder / "shards").mkdir()
    for split in ("train", "validation", "test"):
        with tarfile.open(folder / "shards" / f"{split}-000.tar", "w") as archive:
            for number, file in enumerate(sorted((folder / "photos").glob(f"{split}/*/*.png"))):
                for suffix, data in (("png", file.read_bytes()), ("cls", file.parent.name.encode())):
                    member = tarfile.TarInfo(f"{number:06}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def shortened(text: str) -> str:
    text = re.sub(r"(population|generations) = \d+", r"\1 = 2", text)
    return re.sub(r'steps ?= ?(\d+|"auto")', "steps=6", text)


def answer_of(line: str, place: Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a line of a page's shell snippet answers, run from ``place``; with a cache of its own unless given."""
    words = shlex.split(line, comments=True)
    command = {
        "hetero": ["-m", "hetero"],
        "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
        "torchrun": ["-m", "torch.distributed.run", *([] if "--nnodes" in words else ["--standalone"])],
    }[words[0]]
    arguments = [str(ROOT / word) if word == "device_tests" else word for word in words[1:]]
    environment = {**os.environ, "HETERO_CACHE": str(cache or place / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@contextmanager
def service(line: str, place: Path, port: str) -> Iterator[None]:
    """Run a service of a page's shell snippet on this port; it must end well."""
    words = shlex.split(line)[1:]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "hetero", *words, "--port", port],
        cwd=place, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        yield
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def run_shell(line: str, place: Path) -> None:
    answer = answer_of(line, place)
    # An untrained toy retrieves by chance, so a gate may fail, and golden images that have one embedding prove nothing,
    # so a rung may not be verified; usage errors and crashes may not happen.
    assert answer.returncode in (0, 1, 3), f"{line}\n{answer.stdout}\n{answer.stderr}"
    own = "\n".join(line for line in answer.stderr.splitlines() if AGENT not in line)
    assert "Traceback" not in own, answer.stderr


def run_machines(lines: list[str], place: Path) -> None:
    """Run one line of several machines each, at the same time: on this machine, with one process each."""
    here = (("10.0.0.1", "127.0.0.1"), ("29500", free_port()), ("--nproc-per-node 4", "--nproc-per-node 1"))
    for old, new in here:
        assert all(old in line for line in lines), old
        lines = [line.replace(old, new) for line in lines]
    with ThreadPoolExecutor(len(lines)) as pool:
        list(pool.map(lambda line: run_shell(line, place), lines))


def run_page(page: Path, place: Path) -> dict[str, object]:
    """Run a page's snippets from ``place``, which must be the working directory.

    Returns:
        What its Python snippets defined.
    """
    with ExitStack() as services:
        return _run_page(page, place, services)


def _run_page(page: Path, place: Path, services: ExitStack) -> dict[str, object]:
    names: dict[str, object] = {}
    program: list[str] = []
    port = free_port()
    snippets = page.read_text(encoding="utf-8").replace(PORT_OF_SERVICES, port)
    for language, text in re.findall(r"```(\w+)\n(.*?)```", snippets, flags=re.DOTALL):
        if language == "python":
            exec(compile(shortened(text), page.name, "exec"), names)
            program.append(shortened(text))
        elif language == "toml":
            (place / "recipe.toml").write_text(shortened(text), encoding="utf-8")
        elif language == "sh":
            lines = [line for line in text.splitlines() if line and not line.startswith(ELSEWHERE)]
            for line in lines:
                if line.startswith("torchrun ") and line.endswith(".py"):  # starts "the calls above"
                    (place / line.split()[-1]).write_text("\n".join(program), encoding="utf-8")
            machines = [line for line in lines if "--nnodes" in line]
            for line in lines:
                if line.startswith("hetero serve "):
                    services.enter_context(service(line, place, port))
                elif line not in machines:
                    run_shell(line, place)
            if machines:
                run_machines(machines, place)
        else:
            raise ValueError(f"a snippet in {language!r}: say here how it is run")
    return names
