"""Export a trained model as a bundle."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import hetero
from export.bundle import read_bundle
from export.card import model_card
from export.convert import Request, Result
from export.converter import file_name, require_available
from export.goldens import Goldens, RetrievalSet, spread_rows
from export.manifest import (
    GOLDENS,
    MANIFEST,
    PREPROCESS,
    README,
    SPACE,
    FileEntry,
    Format,
    Manifest,
    ModelEntry,
    Precision,
    TaskEntry,
    combined_digest,
    require_name,
)
from export.originals import write_originals
from export.processes import run_all
from hetero.errors import InputError
from hetero.files import replaced_directory, sha256_file, write_json, write_text
from hetero.models.cost import cost
from hetero.models.directory import load_model
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel

__all__ = ["RetrievalSet", "export_model"]

_WORK = ".work"
# The slowest first, so that two at a time end together.
_ORDER: tuple[Format, ...] = ("litert", "coreml", "onnx")


def export_model(
    model_directory: Path,
    retrieval: RetrievalSet,
    out: Path,
    *,
    formats: Sequence[Format] = ("onnx", "litert", "coreml"),
    precisions: Sequence[Precision] = ("fp32",),
    goldens: int = 32,
) -> Path:
    """Convert a model to every format asked for, check the files against it, and write a bundle.

    Exporting the same model twice gives the same files. What stood at ``out`` is replaced when everything succeeded;
    otherwise it stays.

    Args:
        model_directory: As written by :func:`hetero.models.directory.save_model`.
        retrieval: Test images with cloud embeddings; they ship with the bundle.
        out: The bundle's directory.
        formats: Any of ``onnx``, ``litert`` and ``coreml``.
        precisions: ``fp32``.
        goldens: How many of the images also become golden images for the comparison with torch.

    Returns:
        ``out``.

    Raises:
        InputError: When something asked for is not available, or the retrieval set does not fit the model.
        SpaceMismatchError: When the retrieval set's cloud embeddings belong to another space than the model.
        ExportError: When a conversion fails, or a file does not reproduce the model's golden embeddings.
    """
    require_available(formats, precisions)
    model = load_model(model_directory)
    _require_fit(model, retrieval, goldens)
    _require_replaceable(out)
    _remove_leftovers(out)
    with replaced_directory(out) as fresh:
        _fill(fresh, model_directory, model, retrieval, formats, precisions, goldens)
    return out


def _fill(
    fresh: Path,
    model_directory: Path,
    model: EmbeddingModel,
    retrieval: RetrievalSet,
    formats: Sequence[Format],
    precisions: Sequence[Precision],
    goldens: int,
) -> None:
    assert model.space is not None
    kinds: list[tuple[Format, Precision]] = [
        (name, precision) for name in sorted(formats, key=_ORDER.index) for precision in precisions
    ]
    with tqdm(None, total=len(kinds) + 1, desc=f"exporting {model.name}", unit="file") as bar:

        def advance(request: Request) -> None:
            bar.set_postfix_str(request.format)
            bar.update()

        make_goldens(model, retrieval, goldens).save(fresh / GOLDENS)
        model.space.save(fresh / SPACE)
        write_json(fresh / PREPROCESS, model.preprocessing.to_dict())
        write_originals(fresh, retrieval.originals)
        bar.update()
        with tempfile.TemporaryDirectory(dir=fresh, prefix=_WORK) as made:
            work = Path(made)
            requests = [_request(model_directory, fresh, work, name, precision) for name, precision in kinds]
            results = run_all(requests, work, finished=advance)
    files = _listed(fresh)
    models = tuple(_entry(request, result, files) for request, result in zip(requests, results, strict=True))
    models = tuple(sorted(models, key=lambda entry: (formats.index(entry.format), precisions.index(entry.precision))))
    measured = cost(model)
    manifest = Manifest(
        name=model.name,
        hetero=hetero.__version__,
        space_id=model.space.space_id,
        source=sha256_file(model_directory / "model.safetensors"),
        macs=measured.macs,
        parameters=measured.parameters,
        models=models,
        tasks=tuple(TaskEntry(task.name, task.exclude_self) for task in retrieval.tasks),
        files=(),
    )
    write_text(fresh / README, model_card(manifest, model.space, model.preprocessing))
    write_json(fresh / MANIFEST, manifest.to_dict() | {"files": [vars(file) for file in _listed(fresh)]})
    _ = read_bundle(fresh).goldens


def make_goldens(model: EmbeddingModel, retrieval: RetrievalSet, count: int) -> Goldens:
    """Run the model in torch over the retrieval set, and pick ``count`` of its images, evenly spread, as goldens."""
    rows = spread_rows(len(retrieval.images), count)
    student = embed_images(model, retrieval.images)
    images = np.ascontiguousarray(retrieval.images[rows])
    with torch.inference_mode():
        tensors = model.pixels(torch.from_numpy(images)).contiguous().numpy()
    return Goldens(
        golden_images=images,
        golden_tensors=tensors,
        golden_embeddings=student[rows],
        retrieval_images=retrieval.images,
        retrieval_labels=retrieval.labels,
        retrieval_student=student,
        retrieval_cloud=retrieval.cloud_embeddings,
        tasks=retrieval.tasks,
    )


def _require_fit(model: EmbeddingModel, retrieval: RetrievalSet, goldens: int) -> None:
    assert model.space is not None
    require_name(model.name)
    retrieval.space.require_same(model.space, this="the retrieval set", that=f"the model {model.name}")
    problems: list[str] = []
    expected = (model.preprocessing.height, model.preprocessing.width, 3)
    if retrieval.images.shape[1:] != expected or retrieval.images.dtype != np.uint8:
        came = f"{retrieval.images.dtype} {list(retrieval.images.shape[1:])}"
        problems.append(f"images: expected uint8 {list(expected)} as the model's preprocessing says, got {came}")
    if goldens < 1:
        problems.append(f"goldens: expected at least 1, got {goldens}")
    if problems:
        raise InputError(f"the retrieval set does not fit the model {model.name}:", problems)


def _require_replaceable(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))):
        raise InputError(f"{out} exists and is not a bundle; it will not be replaced: choose another path or remove it")


def _remove_leftovers(out: Path) -> None:
    """Remove what a killed export of this bundle left beside it."""
    ours = re.compile(rf"\.{re.escape(out.name)}\.(old\.)?[a-z0-9_]{{8}}")
    for path in out.parent.glob(f".{out.name}.*") if out.parent.is_dir() else ():
        if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def _request(model: Path, fresh: Path, work: Path, name: Format, precision: Precision) -> Request:
    file = file_name(name, precision)
    return Request(
        model=str(model.resolve()),
        format=name,
        precision=precision,
        out=str(fresh.resolve() / file),
        goldens=str(fresh.resolve() / GOLDENS),
        result=str(work.resolve() / f"{file}.json"),
    )


def _entry(request: Request, result: Result, files: tuple[FileEntry, ...]) -> ModelEntry:
    name = Path(request.out).name
    own = tuple(file for file in files if file.path == name or file.path.startswith(f"{name}/"))
    sha256, size = combined_digest(own, name)
    return ModelEntry(
        file=name,
        format=request.format,
        precision=request.precision,
        sha256=sha256,
        size=size,
        input=result.input,
        output=result.output,
        versions=result.versions,
        checked="not verified" if result.min_cosine is None else "pass",
        min_cosine=result.min_cosine,
    )


def _listed(directory: Path) -> tuple[FileEntry, ...]:
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != directory / MANIFEST)
    return tuple(
        FileEntry(file.relative_to(directory).as_posix(), sha256_file(file), file.stat().st_size) for file in files
    )
