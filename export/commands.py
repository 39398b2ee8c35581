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
from hetero.errors import InputError
from hetero.flags import AllowCode

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[names()]

_TRACED = tuple(format.name for format in known_formats() if format.read_graph is not None)
Formats = Annotated[tuple[Name, ...], Parameter(consume_multiple=True)]
Goals = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]
Precisions = Annotated[tuple[Precision | Literal["all"], ...], Parameter(consume_multiple=True)]


def export_command(
    model: str,
    retrieval: Path,
    out: Path,
    *,
    formats: Formats = FORMATS,
    precisions: Precisions = ("fp32",),
    calibration: Path | None = None,
    goals: Goals = (),
    tuned: Path | None = None,
    goldens: PositiveInt = 32,
    any_batch: bool = False,
    licence: str = "",
    images: str = "",
    key: Path | None = None,
    preprocessing: Path | None = None,
    space: Path | None = None,
    name: str = "",
    takes: Literal["uint8", "scaled", "normalised"] | None = None,
    allow_code: AllowCode = False,
) -> int:
    """Export a model as a bundle: ONNX, LiteRT and Core ML files with the contract and golden images.

    Every file is held against the model on the golden images where a runtime exists on this machine. One that does
    not reproduce the model is left out and listed as missing; the command then ends with status 1.

    Example: hetero export runs/demo/students/edge retrieval.safetensors bundles/edge --precisions fp32 fp16

    Example: hetero export mine:network retrieval.safetensors bundles/mine --preprocessing p.json --allow-code

    Args:
        model: A model directory, or a network of your own as Python code, module:attribute, with --allow-code.
        retrieval: Test images with cloud embeddings, as `hetero retrieval make` writes them. Its texts (--text there)
            become the bundle's golden texts.
        out: The bundle's directory; an earlier bundle there is replaced.
        formats: Which formats; executorch is made where it is named.
        precisions: Any of fp32, fp16, int8, int8-dynamic, int8-weights, int8-uint8io, palette8, palette6, palette4, or
            all; each format makes those that it takes.
        calibration: Training or validation images with cloud embeddings, as `hetero retrieval make --calibration`
            writes them; int8 and int8-uint8io need them.
        goals: Largest share of map@r that a precision may lose, for instance int8=0.01.
        tuned: The same model fine-tuned for int8, which is then made from it.
        goldens: How many golden images.
        any_batch: Files take any number of images at once, where their format can; ONNX does.
        licence: Of the model, for instance CC-BY-4.0.
        images: Where the retrieval images come from, and whether they show persons or belong to users.
        key: An Ed25519 private key that signs the bundle; hetero bundle key makes one.
        preprocessing: Of code: the file that says how images are prepared for it, as preprocess.json in a bundle.
        space: Of code: the space.json of its vectors; default the space of the retrieval set.
        name: Of code: name of the model; default its name in the code.
        takes: Of code: its input; default normalised, float32 [b, 3, h, w] less mean, divided by deviation.
        allow_code: Run the code of its own that a recipe, search space or model names.
    """
    if allow_code:
        own_code.allow_code()
    from export.api import export_model
    from export.bundle.goldens import RetrievalSet
    from export.bundle_commands import check_command
    from export.capture.called import About, require_model, source_called

    wanted = named_precisions(precisions)
    require_model(model)
    shown = RetrievalSet.load(retrieval)
    made = export_model(
        source_called(model, About(preprocessing, space, name, takes), shown.space),
        shown,
        out,
        formats=formats,
        precisions=wanted,
        calibration=RetrievalSet.load(calibration) if calibration else None,
        goals=_goals(goals, wanted),
        tuned=tuned,
        goldens=goldens,
        any_batch=any_batch,
        licence=licence,
        images=images,
        key=key,
    )
    return check_command(made)


def named_precisions(precisions: tuple[Precision | Literal["all"], ...]) -> tuple[Precision, ...]:
    """Return the precisions that an option names."""
    return PRECISIONS if "all" in precisions else tuple(each for each in precisions if each != "all")


def _goals(texts: tuple[str, ...], precisions: tuple[Precision, ...]) -> dict[Precision, float]:
    """Read goals such as ``int8=0.01``.

    Raises:
        InputError: With every one that is none, or is of a precision that is not exported.
    """
    known: dict[str, Precision] = {each: each for each in precisions}
    goals: dict[Precision, float] = {}
    problems: list[str] = []
    for text in texts:
        name, _, share = text.partition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if name not in known:
            problems.append(f"{text!r}: expected one of {', '.join(precisions)} before =, which are exported")
        elif not 0 <= value <= 1:
            problems.append(f"{text!r}: expected a share of map@r between 0 and 1 after =")
        else:
            goals[known[name]] = value
    if problems:
        raise InputError("--goals:", problems)
    return goals


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
