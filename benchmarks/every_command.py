"""Every command of the command line, with arguments on tiny inputs: for what must hold of all of them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import App
from PIL import Image

from hetero.cli.main import build_app

Name = tuple[str, ...]
Command = Sequence[str | Path]

TRAINING = "steps = 2, classes_per_batch = 3, images_per_class = 2, threads = 1, validate_every = 2"
MODEL = "stem_channels = 8, stages = [{ channels = 8, stride = 2 }]"
DATA = f"""
name = "tiny"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[cloud]
model = {{ family = "residual", dimension = 8, {MODEL} }}
training = {{ {TRAINING} }}
"""
RECIPES = {
    "run": f"""{DATA}
[[students]]
name = "edge"
model = {{ {MODEL} }}
training = {{ {TRAINING} }}
[export]
formats = ["onnx"]
goldens = 4
precisions = ["fp32", "fp16"]
[verify]
targets = ["desktop"]
""",
    "search": f"""{DATA}
[search]
space = "space.toml"
algorithm = {{ population = 2, generations = 1, parents = 1 }}
supernet = {{ calibration = 6, training = {{ {TRAINING} }} }}
student = {{ training = {{ {TRAINING} }} }}
[[tiers]]
name = "watch"
budget = "macs <= 500k"
""",
    "upgrade": f"""{DATA}
[upgrade]
old = "run/cloud"
""",
    "compare": f"""
seeds = [0]
{DATA}
[student]
model = {{ {MODEL} }}
training = {{ {TRAINING} }}
[[methods]]
name = "plain"
independent = true
objectives = [{{ name = "own_head" }}]
[[methods]]
name = "regression"
objectives = [{{ name = "cloud_regression" }}]
""",
    "space": """
stem_channels = 8
stem_stride = 2
kind = ["inverted_residual"]
stages = [{ channels = [8, 16], stride = 2, kernel = [3, 5], expansion = [1.0, 2.0] }]
""",
}

# HERE stands for a copy of what :func:`prepare` makes, OUT for a new folder.
ARGUMENTS: dict[Name, str] = {
    ("demo",): "--until data --out OUT",
    ("run",): "HERE/run.toml --out OUT --jobs 1",
    (
        "student",
    ): "HERE/run/cloud HERE/photos --macs 500k --size 16 --steps 2 --precisions fp32 --formats onnx --out OUT --jobs 1",
    ("search",): "HERE/search.toml --out OUT",
    ("upgrade",): "HERE/upgrade.toml --out OUT",
    ("compare",): "HERE/compare.toml --out OUT",
    ("anchor-factors",): "HERE/run/cloud HERE/photos OUT/anchors.safetensors",
    ("adapt",): "HERE/run/cloud --data HERE/photos --gallery HERE/a.safetensors --anchors HERE/photos "
    "--out OUT/adapted",
    ("explain",): "HERE/new/adapted --out OUT/flips.html --most 2",
    ("forget",): "HERE/new/adapted HERE/gone.txt --out OUT/without",
    ("fleet",): "v1=HERE/run/cloud edge=HERE/run/students/edge --data HERE/photos --out OUT",
    ("evaluate",): "HERE/run.toml --out OUT --jobs 1 --metrics tar@far=0.1 nfr",
    ("embed",): "HERE/run/cloud HERE/photos OUT/photos.safetensors",
    ("export",): "HERE/run/students/edge HERE/retrieval.safetensors OUT/bundle --formats onnx --goldens 4",
    ("verify",): "HERE/bundle --out OUT --again --attest OUT/verdict.intoto.jsonl --attest-key HERE/key.pem",
    ("report",): "HERE/run --out OUT/report.html --picture OUT/report.svg",
    ("serve",): "usearch:HERE/gallery --model HERE/run/cloud --photos HERE/photos --port 0 --check",
    ("train", "cloud"): "HERE/run.toml --out OUT",
    ("train", "students"): "HERE/run.toml --out OUT --jobs 1",
    ("backfill", "plan"): "HERE/a.safetensors HERE/a.safetensors HERE/a.safetensors OUT --assume-compatible "
    "--steps 2 --random-orders 1",
    ("backfill", "run"): "usearch:HERE/older HERE/run/cloud --data HERE/photos --no-swap --workers 1",
    ("backfill", "status"): "usearch:HERE/older",
    ("backfill", "roll-back"): "usearch:HERE/moved",
    ("data", "check"): "HERE/photos",
    ("data", "index"): "HERE/photos --out OUT/index",
    ("space", "check"): "HERE/a.safetensors",
    ("gallery", "tune"): "usearch:HERE/gallery HERE/a.safetensors",
    ("gallery", "compact"): "HERE/a.safetensors --out OUT/small --dimensions 4 --students HERE/run/students/edge",
    ("retrieval", "make"): "HERE/run/cloud HERE/photos OUT/retrieval.safetensors --calibration OUT/ranges.safetensors",
    ("attestation", "check"): "HERE/verified/verdict.intoto.jsonl HERE/bundle --key HERE/key.pub.pem",
    ("bundle", "check"): "HERE/bundle",
    ("bundle", "verify"): "HERE/bundle --key HERE/key.pub.pem",
    ("bundle", "inspect"): "HERE/bundle",
    ("bundle", "app"): "HERE/bundle OUT/app --platform web",
    ("bundle", "gallery"): "HERE/bundle usearch:HERE/gallery OUT/offline --key HERE/key.pem",
    ("bundle", "hand-on"): "HERE/bundle OUT/handed --without goldens originals",
    ("bundle", "diff"): "HERE/bundle HERE/bundle",
    ("bundle", "sign"): "HERE/bundle HERE/key.pem",
    ("bundle", "key"): "OUT/key.pem OUT/key.pub.pem",
    ("bundle", "debug"): "HERE/bundle --formats onnx --plot OUT/error.svg",
    ("device", "setup"): "desktop",
    ("device", "list"): "",
    ("device", "faults"): "HERE/bundle",
    ("device", "fleet"): "--app 1=HERE/bundle --app 2=HERE/bundle --out OUT",
    ("device", "latency"): "HERE/search.toml --formats onnx --sweeps 1 --out OUT/latency.json",
}
SCRIPT: Command = (Path(sys.executable).with_name("hetero"),)
"""The installed script."""


def names(app: App | None = None, above: Name = ()) -> Iterator[Name]:
    """Walk the command tree: what there is, not what somebody listed."""
    app = build_app() if app is None else app
    for name in app:
        if not name.startswith("-"):
            below = [*names(app[name], (*above, name))]
            yield from below or [(*above, name)]


def prepare(place: Path) -> None:
    """Fill a folder with small photos, recipes, and what a run of one leaves: models, a signed bundle, embeddings."""
    from export import generate_key, sign
    from hetero import EmbeddingSpace, load_embeddings, load_recipe, open_gallery, save_embeddings
    from hetero.pipeline.context import Context
    from hetero.pipeline.export_sets import retrieval_set

    drawn = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in "abcd":
            folder = place / "photos" / split / label
            folder.mkdir(parents=True)
            ground = drawn.integers(0, 256, 3)
            for number in range(3):
                pixels = np.clip(ground + drawn.integers(-40, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    for name, text in RECIPES.items():
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    _done("run", place, "run")
    retrieval_set(Context(load_recipe(place / "run.toml"), place / "run")).save(place / "retrieval.safetensors")
    held = load_embeddings(place / "run" / "cloud" / "embeddings.safetensors")
    test = [row for row, name in enumerate(held.names) if name.startswith("test/")]
    save_embeddings(place / "a.safetensors", held.embeddings[test], [held.names[row] for row in test], held.space)
    with open_gallery(f"usearch:{place / 'gallery'}", held.space) as store:
        store.add(held.embeddings, held.names, held.space)
    older = EmbeddingSpace.define(defined_by="older", name="cloud", version="0", dimension=held.space.dimension)
    for name in ("older", "moved"):
        with open_gallery(f"usearch:{place / name}", older) as store:
            store.add(held.embeddings, held.names, older)
            if name == "moved":
                backfill = store.begin(held.space)
                backfill.add(held.embeddings, backfill.missing(), held.space)
                backfill.swap()
    shutil.copytree(place / "run" / "bundles" / "edge" / "bundle", place / "bundle")
    generate_key(place / "key.pem", place / "key.pub.pem")
    sign(place / "bundle", place / "key.pem")
    _done("verify", place, "verified")
    _done("adapt", place, "new")
    (place / "gone.txt").write_text("train/a/0.png\ntrain/b/1.png\n", encoding="utf-8")


def _done(name: str, place: Path, out: str) -> None:
    done = run((name,), place, place / out, variables={**os.environ, "HETERO_CACHE": str(place / "cache")})
    if done.returncode not in (0, 1, 3):  # An untrained toy retrieves by chance: a gate may fail.
        raise RuntimeError(done.stderr)


def run(
    name: Name,
    here: Path,
    out: Path,
    *,
    variables: Mapping[str, str],
    program: Command = SCRIPT,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command.

    Args:
        name: As :func:`names` gives it.
        here: A copy of what :func:`prepare` made.
        out: Where it writes; made unless it is there.
        variables: The whole environment.
        program: What comes before the command's name.
        options: Of :class:`subprocess.run`.
    """
    out.mkdir(exist_ok=True)
    words = [word.replace("HERE", str(here)).replace("OUT", str(out)) for word in shlex.split(ARGUMENTS[name])]
    options = {"cwd": here, "capture_output": True, "text": True, "errors": "replace", **options}
    return subprocess.run([*program, *name, *words], check=False, stdin=subprocess.DEVNULL, env=variables, **options)
