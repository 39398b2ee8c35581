"""The commands ``hetero export`` and ``hetero bundle check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from export.manifest import FORMATS, Format, Precision

Formats = Annotated[tuple[Format, ...], Parameter(consume_multiple=True)]
Precisions = Annotated[tuple[Precision, ...], Parameter(consume_multiple=True)]


def export_command(
    model: Path,
    retrieval: Path,
    out: Path,
    *,
    formats: Formats = FORMATS,
    precisions: Precisions = ("fp32",),
    goldens: int = 32,
) -> None:
    """Export a model directory as a bundle: ONNX, LiteRT and Core ML files with the contract and golden images.

    Every file is held against the model on the golden images where a runtime exists on this machine; one that does
    not reproduce the model fails the export.

    Example: hetero export runs/demo/students/edge retrieval.safetensors bundles/edge --formats onnx litert

    Args:
        model: A model directory.
        retrieval: Test images with cloud embeddings, as RetrievalSet.save writes them.
        out: The bundle's directory; an earlier bundle there is replaced.
        formats: Any of onnx, litert, coreml.
        precisions: Only fp32 so far.
        goldens: How many golden images.
    """
    from export.api import export_model
    from export.goldens import RetrievalSet

    made = export_model(
        model, RetrievalSet.load(retrieval), out, formats=formats, precisions=precisions, goldens=goldens
    )
    bundle_check_command(made)


def bundle_check_command(path: Path) -> None:
    """Verify a bundle's digests, contract and goldens, and print what is inside.

    Example: hetero bundle check runs/demo/bundles/edge

    Args:
        path: The bundle's directory.
    """
    from export.bundle import read_bundle

    bundle = read_bundle(path)
    manifest, goldens, space = bundle.manifest, bundle.goldens, bundle.space
    queries, images = len(goldens.query_rows), len(goldens.retrieval_images)
    lines = [
        f"{path}: sound, {len(manifest.files)} files, {sum(file.size for file in manifest.files):,} bytes",
        f"  model      {manifest.name}, {manifest.macs:,} MACs, {manifest.parameters:,} weights",
        f"  space      {space.name} {space.version}, {space.dimension} dimensions, {space.space_id}",
        f"  image      {bundle.preprocessing.width} x {bundle.preprocessing.height}, {bundle.preprocessing.resize}, "
        f"{bundle.preprocessing.filter}",
        f"  goldens    {len(goldens.golden_images)} images; {images} for retrieval, {queries} of them queries",
        *(f"  task       {task.name!r}: {len(task.query)} in {len(task.gallery)}" for task in goldens.tasks),
    ]
    for model in manifest.models:
        figure = "" if model.min_cosine is None else f", cosine with torch >= {model.min_cosine:.8f}"
        lines.append(f"  {model.format:10} {model.file}, {model.size:,} bytes, at export: {model.checked}{figure}")
    print("\n".join(lines))
