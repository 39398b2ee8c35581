"""The command ``hetero export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from export.formats import FORMATS
from export.kinds.precision import PRECISIONS, Precision
from export.kinds.registry import formats as known_formats
from export.kinds.registry import names
from hetero import own_code
from hetero.flags import AllowCode

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[names()]

_TRACED = tuple(format.name for format in known_formats() if format.read_graph is not None)
Formats = Annotated[tuple[Name, ...], Parameter(consume_multiple=True)]
Precisions = Annotated[tuple[Precision | Literal["all"], ...], Parameter(consume_multiple=True)]


def export_command(
    model: Path,
    retrieval: Path,
    out: Path,
    *,
    formats: Formats = FORMATS,
    precisions: Precisions = ("fp32",),
    calibration: Path | None = None,
    goldens: PositiveInt = 32,
    any_batch: bool = False,
    licence: str = "",
    images: str = "",
    key: Path | None = None,
    allow_code: AllowCode = False,
) -> int:
    """Export a model directory as a bundle: ONNX, LiteRT and Core ML files with the contract and golden images.

    Every file is held against the model on the golden images where a runtime exists on this machine. One that does
    not reproduce the model is left out and listed as missing; the command then ends with status 1.

    Example: hetero export runs/demo/students/edge retrieval.safetensors bundles/edge --precisions fp32 fp16

    Args:
        model: A model directory.
        retrieval: Test images with cloud embeddings, as RetrievalSet.save writes them.
        out: The bundle's directory; an earlier bundle there is replaced.
        formats: Which formats; executorch is made where it is named.
        precisions: Any of fp32, fp16, int8, int8-dynamic, int8-weights, int8-uint8io, palette8, palette6, palette4, or
            all; each format makes those that it takes.
        calibration: Training or validation images with cloud embeddings, as RetrievalSet.save writes them; int8 and
            int8-uint8io need them.
        goldens: How many golden images.
        any_batch: Files take any number of images at once, where their format can; ONNX does.
        licence: Of the model, for instance CC-BY-4.0.
        images: Where the retrieval images come from, and whether they show persons or belong to users.
        key: An Ed25519 private key that signs the bundle; hetero bundle key makes one.
        allow_code: Run the code of its own that a recipe, search space or model names.
    """
    if allow_code:
        own_code.allow_code()
    from export.api import export_model
    from export.bundle.goldens import RetrievalSet
    from export.bundle_commands import check_command

    made = export_model(
        model,
        RetrievalSet.load(retrieval),
        out,
        formats=formats,
        precisions=_named(precisions),
        calibration=RetrievalSet.load(calibration) if calibration else None,
        goldens=goldens,
        any_batch=any_batch,
        licence=licence,
        images=images,
        key=key,
    )
    return check_command(made)


def _named(precisions: tuple[Precision | Literal["all"], ...]) -> tuple[Precision, ...]:
    return PRECISIONS if "all" in precisions else tuple(each for each in precisions if each != "all")


def debug_command(bundle: Path, *, formats: Formats = _TRACED, plot: Path | None = None) -> None:
    """Find the first operator where a reduced precision leaves the float32 file by more than its share.

    Example: hetero export debug bundles/edge --plot error.svg

    Args:
        bundle: A bundle with fp32 and reduced files.
        formats: Which formats; by default those whose intermediate values can be had on this machine.
        plot: Where to draw the error along the operators (SVG).
    """
    from export.bundle.reading import read_bundle
    from export.trace.trace import plot as draw
    from export.trace.trace import table, trace
    from hetero.errors import InputError

    opened = read_bundle(bundle)
    files: list[tuple[str, Precision]] = [
        (model.format, model.precision)
        for model in opened.manifest.models
        if model.format in formats and model.precision != "fp32"
    ]
    if not files:
        raise InputError(f"{bundle} has no reduced precision of {', '.join(formats)} to compare with fp32")
    traces = [trace(opened, *file) for file in files]
    print("\n\n".join(table(one) for one in traces))
    if plot is not None:
        draw(traces, plot)
