"""The captured graphs of a model, and their conversion requests."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

from safetensors.numpy import save as pack
from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from export.bundle.goldens import Goldens
from export.bundle.manifest import GOLDENS
from export.capture.program import capture, save
from export.conversion.half import Hazard, make_safe
from export.conversion.order import Order
from export.conversion.request import Request
from export.kinds.precision import Precision
from export.kinds.registry import format_called
from hetero.files import write_bytes
from hetero.models.model import EmbeddingModel

_TUNED_GOLDENS = "goldens.int8.safetensors"


def write_graphs(order: Order, golden: Goldens, work: Path) -> list[Hazard]:
    """Write the graphs for the converters; return the float16 hazards that remain even after the norm was made safe."""
    source = order.source
    hazards, remaining = _write_graph(order, golden, work / "program.pt2", any_batch=False)
    for one in hazards:
        state = "remains" if one in remaining else "rewritten: rows are scaled before the norm"
        print(f"float16: {one} ({state})", file=sys.stderr)
    if order.any_batch:
        _write_graph(order, golden, work / "program.batch.pt2", any_batch=True)
    if order.tuned is not None:
        tuned = with_neck_folded(order.tuned.module)
        save(capture(tuned, source.example), work / "program.int8.pt2")
        if order.any_batch:
            save(capture(tuned, source.example, any_batch=True), work / "program.int8.batch.pt2")
        images = golden.golden_images
        write_bytes(
            work / _TUNED_GOLDENS, pack({"golden_images": images, "golden_embeddings": order.tuned.embed(images)})
        )
    return remaining


def requests(order: Order, bundle: Path, work: Path) -> list[Request]:
    """Return one request for each format, the slowest first."""
    source = order.source
    by_format: dict[str, dict[Precision, str]] = {}
    for name, precision in order.files:
        by_format.setdefault(name, {})[precision] = str(bundle.resolve() / format_called(name).file_name(precision))
    return [
        Request(
            program=str(work.resolve() / f"program.{_ending(order, name)}"),
            int8_program="" if order.tuned is None else str(work.resolve() / f"program.int8.{_ending(order, name)}"),
            format=name,
            files=by_format[name],
            goldens=str(bundle.resolve() / GOLDENS),
            work=str(work.resolve()),
            metadata=source.describe(),
            height=source.preprocessing.height,
            width=source.preprocessing.width,
            any_batch=_takes_any(order, name),
            goals={precision: order.goal(name, precision) for precision in by_format[name]},
            int8_goldens="" if order.tuned is None else str(work.resolve() / _TUNED_GOLDENS),
        )
        # The slowest first, so that two at a time end together.
        for name in sorted(by_format, key=lambda name: -format_called(name).effort)
    ]


def _write_graph(order: Order, golden: Goldens, path: Path, *, any_batch: bool) -> tuple[list[Hazard], list[Hazard]]:
    """Return the float16 hazards of the model, and those of the written graph."""
    source = order.source
    program = capture(with_neck_folded(source.module), source.example, any_batch=any_batch)
    hazards, remaining = list[Hazard](), list[Hazard]()
    if order.half:
        program, hazards, remaining = make_safe(program, golden.golden_images, source.example, any_batch=any_batch)
    save(program, path)
    return hazards, remaining


def with_neck_folded(module: nn.Module) -> nn.Module:
    """Return a copy of one of our models with its last batch norm in the embedding layer; any other model unchanged.

    Converters to ONNX and LiteRT do so anyway. Core ML's does not, and float16 then rounds the statistics as well.
    """
    if not isinstance(module, EmbeddingModel):
        return module
    folded = copy.deepcopy(module)
    folded.embedding = fuse_linear_bn_eval(folded.embedding, folded.neck)
    folded.neck = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return folded


def _ending(order: Order, name: str) -> str:
    return "batch.pt2" if _takes_any(order, name) else "pt2"


def _takes_any(order: Order, name: str) -> bool:
    return order.any_batch and format_called(name).any_batch
