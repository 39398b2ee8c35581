"""What the commands read: small photos, recipes, and models and files made of them, once."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.crash_points.case import Place
from benchmarks.crash_points.stores import write_store
from hetero.data.contents import SETTLED_SECONDS

SIDE = 16
TRAINING = "classes_per_batch = 3, images_per_class = 2, threads = 1, validate_every = 2, checkpoint_every = 2"
DATA = f"""
name = "tiny"
seed = {{seed}}
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = {SIDE}
width = {SIDE}
[cloud]
copies = 1
model = {{{{ family = "residual", dimension = 8, stem_channels = 8, stages = [{{{{ channels = 8, stride = 2 }}}}] }}}}
training = {{{{ steps = 4, {TRAINING} }}}}
"""
STUDENT = f"""
model = {{{{ stem_channels = 8, stages = [{{{{ channels = 8, stride = 2 }}}}] }}}}
training = {{{{ steps = 4, {TRAINING} }}}}
"""
RUN = f"""{DATA}
[[students]]
name = "edge"
{STUDENT}
[export]
formats = ["onnx"]
precisions = ["fp32"]
goldens = 4
[verify]
targets = ["desktop"]
"""
SEARCH = f"""{DATA}
[search]
space = "space.toml"
algorithm = {{{{ population = 4, generations = 2, parents = 2 }}}}
supernet = {{{{ calibration = 6, training = {{{{ steps = 4, {TRAINING} }}}} }}}}
student = {{{{ training = {{{{ steps = 2, {TRAINING} }}}} }}}}
[[tiers]]
name = "watch"
budget = "macs <= 500k"
"""
SPACE = """
stem_channels = 8
stem_stride = 2
kind = ["inverted_residual"]
stages = [{ channels = [8, 16], stride = 2, kernel = [3, 5], expansion = [1.0, 2.0] }]
"""
COMPARE = f"""{DATA.replace("seed = {seed}", "seeds = [{seed}]")}
[student]
{STUDENT}
[[methods]]
name = "plain"
independent = true
objectives = [{{{{ name = "own_head" }}}}]
[[methods]]
name = "turned"
adapter = "procrustes"
of = "plain"
"""


def write_inputs(given: Path) -> None:
    """Write photos of eight classes, and a recipe, a search and a comparison with either of two seeds."""
    drawn = np.random.default_rng(0)
    for split, classes in (("train", "abcd"), ("validation", "ef"), ("test", "gh")):
        for name in classes:
            folder = given / "photos" / split / name
            folder.mkdir(parents=True)
            ground = drawn.integers(0, 256, 3)
            for number in range(4):
                pixels = np.clip(ground + drawn.integers(-40, 40, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (given / "space.toml").write_text(SPACE, encoding="utf-8")
    for name, text in (("run", RUN), ("search", SEARCH), ("compare", COMPARE)):
        for seed in (0, 1):
            (given / f"{name}-{seed}.toml").write_text(text.format(seed=seed), encoding="utf-8")
    time.sleep(SETTLED_SECONDS + 0.1)  # Digests of younger files are not kept.


def make_models(place: Place) -> None:
    """Train the models of both seeds, and write what there is to export, to embed with, to plan for and to move."""
    from export import RetrievalSet, export_model, generate_key
    from hetero import load_embeddings, load_recipe, save_embeddings
    from hetero.pipeline.commands.run import run
    from hetero.pipeline.context import Context
    from hetero.pipeline.export_sets import retrieval_set

    write_store(place.given)
    generate_key(place.given / "key.pem", place.given / "key.pub.pem")
    for seed in (0, 1):
        recipe, out = place.given / f"run-{seed}.toml", place.given / f"models-{seed}"
        run(recipe, out=out, until="evaluate", jobs=1)
        made: RetrievalSet = retrieval_set(Context(load_recipe(recipe), out))
        made.save(place.given / f"retrieval-{seed}.safetensors")
        student = out / "students" / "edge"
        export_model(student, made, place.given / f"bundle-{seed}", formats=("onnx",), goldens=4)
        held = load_embeddings(out / "cloud" / "embeddings.safetensors")
        test = [row for row, name in enumerate(held.names) if name.startswith("test/")]
        names = [held.names[row] for row in test]
        save_embeddings(place.given / f"vectors-{seed}.safetensors", held.embeddings[test], names, held.space)
