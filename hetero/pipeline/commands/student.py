"""The command ``hetero student``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from export.bundle.reading import read_bundle
from export.commands import Formats, Precisions, named_precisions
from hetero import own_code
from hetero.display.text import say
from hetero.errors import InputError
from hetero.evaluation.matrix import CompatibilityMatrix
from hetero.files import write_text
from hetero.flags import AllowCode
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.context import Context
from hetero.pipeline.quick.cloud_table import Takes, Triple
from hetero.pipeline.quick.student import Wish, student_recipe
from hetero.pipeline.quick.text_options import TextOptions
from hetero.pipeline.recipe import Recipe

RECIPE = "recipe.toml"
_METRIC = "cmc@1"
Several = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]


def student_command(
    cloud: str,
    photos: Path,
    *,
    out: Path | None = None,
    name: str = "edge",
    macs: str = "",
    share: float | None = None,
    size: PositiveInt = 64,
    steps: PositiveInt | Literal["auto"] = "auto",
    precisions: Precisions = ("fp32", "int8"),
    formats: Formats = (),
    int8_goal: float | None = None,
    targets: Several = ("desktop",),
    policy: str = "",
    key: Path | None = None,
    licence: str = "",
    cloud_size: PositiveInt | None = None,
    cloud_resize: Literal["squash", "pad", "crop"] | None = None,
    cloud_mean: Triple | None = None,
    cloud_std: Triple | None = None,
    cloud_weights: Path | None = None,
    text: Path | None = None,
    text_describes: Path | None = None,
    text_tower: str = "",
    text_temperature: float = 0.0,
    text_prototypes: bool = False,
    text_affinity: float = 0.0,
    seed: int = 0,
    until: str = "report",
    jobs: PositiveInt | None = None,
    resume: bool = True,
    allow_code: AllowCode = False,
) -> int:
    """Make a student for a cloud model from a folder of photos: train, export, verify and report.

    The recipe that this runs is written to OUT/recipe.toml: change it and go on with `hetero run`. The same command
    continues an interrupted run. Exit status as of `hetero run`: 0 verified, 1 a gate failed, 3 not verified.

    Example: hetero student cloud.onnx photos --macs 5M --out runs/mine

    Example: hetero student efficientnet_lite0 photos --share 0.05 --int8-goal 0.01

    Example: hetero student clip_images.safetensors photos --text clip_texts.safetensors --text-tower "ViT-B-32, text"

    Args:
        cloud: Your cloud model: an .onnx file, a model directory, a file of embeddings, a published network
            (efficientnet_lite0, timm:NAME, open_clip:NAME, hf:NAME), or with --allow-code a .pt2 file or Python code as
            module:attribute.
        photos: A folder of photos, with or without labels, or a CSV table; see `hetero data check`.
        out: Directory of the run; default runs/NAME.
        name: Name of the student.
        macs: Most multiply-accumulates of an image: 5M, 500k, or cloud/20. Default a twentieth of the cloud's, or 5M
            for an ONNX file or embeddings, whose cost is not known.
        share: The same as a share of the cloud's.
        size: Height and width of the student's images in pixels.
        steps: Optimiser steps, or auto: until the student has stopped getting better on held-out photos.
        precisions: Precisions to export; see `hetero export`.
        formats: Formats to export; default those of a recipe.
        int8_goal: Largest share of map@r that int8 may lose. A student that misses it is fine-tuned for int8.
        targets: Where to verify; see `hetero device list`.
        policy: TOML file with gates, or release: what the student must reach.
        key: An Ed25519 private key that signs the bundle; `hetero bundle key` makes one.
        licence: Of the student, for instance CC-BY-4.0.
        cloud_size: Height and width of the cloud's images; default what it says itself.
        cloud_resize: How the cloud's images are resized; default pad.
        cloud_mean: Mean of the cloud's images (RGB, of values in 0..1); default 0.5 each.
        cloud_std: Their standard deviation; default 0.5 each.
        cloud_weights: Weights of a published network by name, as .safetensors. None are fetched.
        text: Vectors of texts in the cloud's space, by its own text tower, named by the texts: the report says what
            they find in a gallery that the student embeds, and the bundle is verified with them.
        text_describes: What they describe: a CSV file with the columns text and label (a class) or path (a photo);
            default the classes that are called as the texts are.
        text_tower: Id of the text tower; default what the file says, or its digest.
        text_temperature: Divides the cosines of texts with images in the towers' own training.
        text_prototypes: Take the texts of the classes as the student's frozen classifier.
        text_affinity: Weight of a term that makes an image as near to every text as the cloud does; default none.
        seed: Fixes initial weights, batches and augmentation.
        until: Last stage to run: data, cloud, students, evaluate, export, verify or report.
        jobs: Stages run at once; the results do not depend on it.
        resume: Continue interrupted training from its checkpoint.
        allow_code: Run the code that the cloud names.
    """
    if allow_code:
        own_code.allow_code()
    if share is not None and macs:
        raise InputError("expected --macs or --share, got both")
    wish = Wish(
        name=name,
        macs=macs if share is None else f"{share!r}*cloud",
        size=size,
        steps=steps,
        formats=formats,
        precisions=named_precisions(precisions),
        int8_goal=int8_goal,
        targets=targets,
        policy=policy,
        key=key,
        licence=licence,
        text=TextOptions(text, text_describes, text_tower, text_temperature, text_prototypes),
        text_affinity=text_affinity,
        seed=seed,
    )
    takes = Takes(cloud_size, cloud_resize, cloud_mean, cloud_std, cloud_weights)
    quick = student_recipe(cloud, photos, wish, takes)
    root = out or Path("runs") / name
    status = run_until(
        quick.draft, root, None, until, resume, jobs=jobs, begin=lambda: _keep(root / RECIPE, quick.text)
    )
    say(_places(Context(quick.draft.recipe, root)))
    return status


def _keep(path: Path, text: str) -> None:
    """Write the recipe, unless another one is there: somebody may have changed it.

    Raises:
        InputError: When it is another one.
    """
    whole = f"# Written by hetero student. Change it and go on with: hetero run {RECIPE} --out .\n{text}"
    if path.is_file() and path.read_text(encoding="utf-8") != whole:
        raise InputError(
            f"{path} says something else than this command: go on with `hetero run {path} --out {path.parent}`, "
            "give another --out, or remove it"
        )
    write_text(path, whole)


def _places(context: Context) -> str:
    """Return where things are, as far as they are, and the result in one line."""
    root, (student,) = context.root, context.recipe.students
    bundle, model, report = context.bundle(student.name), context.student(student.name), root / "report.html"
    places = {"bundle": bundle, "student": model, "report": report, "recipe": root / RECIPE}
    lines = [f"{what:8} {where}" for what, where in places.items() if where.exists()]
    lines.append(f"go on    hetero run {root / RECIPE} --out {root}")
    return "\n".join([*lines, *([_result(context.recipe, root, bundle)] if report.exists() else [])])


def _result(recipe: Recipe, root: Path, bundle: Path) -> str:
    name, cloud = recipe.students[0].name, recipe.cloud.name
    matrix, manifest = CompatibilityMatrix.load(root / "matrix.json"), read_bundle(bundle).manifest
    found, own = (matrix.value(_METRIC, query, cloud) for query in (name, cloud))
    known = found is not None and own is not None
    figures = f"{_METRIC} {found:.3f} in the cloud's gallery, the cloud's own {own:.3f}; " if known else ""
    files = ", ".join(f"{model.format} {model.precision} {model.size / 1000:,.0f} kB" for model in manifest.models)
    return f"{name}: {figures}{manifest.macs / 1e6:.2f}M MACs; {files}"
