"""A bundle with one change and a consistent manifest, which looks like a mistake, not like damage."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from device_tests.faults.outputs import rotation
from device_tests.resizing.resizers import bilinear, resized_with
from device_tests.targets.target import Request, Target
from export.bundle.goldens import Goldens
from export.bundle.manifest import GOLDENS, MANIFEST, PREPROCESS, SPACE, FileEntry, Manifest, ModelEntry
from export.bundle.reading import Bundle
from hetero.errors import InputError
from hetero.files import digest, read_json, sha256_file, write_json
from hetero.space import EmbeddingSpace
from hetero.text.described import DescribedImages

_SEED = 0

Change = Callable[[Path], None]
"""A change of files in a bundle's copy."""


def copy_changed(bundle: Bundle, entry: ModelEntry, out: Path, change: Change) -> Path:
    """Copy a bundle with one of its models, change the copy, and list its content in the manifest.

    Args:
        bundle: A healthy bundle.
        entry: The only model that the copy has; a single file.
        out: The copy's directory.
        change: The change to make.
    """
    other_files = {model.file for model in bundle.manifest.models if model.file != entry.file}
    names = [file.path for file in bundle.manifest.files if file.path.split("/")[0] not in other_files]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle.path / name, out / name)
    change(out)
    files = tuple(FileEntry(name, sha256_file(out / name), (out / name).stat().st_size) for name in names)
    listed = next(file for file in files if file.path == entry.file)
    changed = dataclasses.replace(
        bundle.manifest,
        space_id=EmbeddingSpace.load(out / SPACE).space_id,
        models=(dataclasses.replace(entry, sha256=listed.sha256, size=listed.size),),
        recommended=tuple(one for one in bundle.manifest.recommended if one.file == entry.file),
        files=files,
    )
    write_json(out / MANIFEST, Manifest.to_dict(changed))
    return out


def claim_another_space(copy: Path) -> None:
    """Claim that the bundle's vectors belong to a space that its model does not know."""
    space = EmbeddingSpace.load(copy / SPACE)
    dataclasses.replace(space, space_id=digest([space.space_id, "another"])).save(copy / SPACE)


def state_another_mean(copy: Path) -> None:
    """State a mean in ``preprocess.json`` that is not the model's."""
    contract = read_json(copy / PREPROCESS)
    write_json(copy / PREPROCESS, contract | {"mean": [0.485, 0.456, 0.406]})


def state_another_filter(copy: Path) -> None:
    """Replace ``preprocess.json`` by another cloud's, with another resizing filter; the model's own mean is kept."""
    contract = read_json(copy / PREPROCESS)
    other = {"bilinear": "bicubic", "bicubic": "bilinear"}[contract["filter"]]
    write_json(copy / PREPROCESS, contract | {"filter": other})


def goldens_changed(bundle: Bundle, changes: Callable[[Goldens], Mapping[str, Any]]) -> Change:
    """Return a change of some of the golden arrays."""

    def change(copy: Path) -> None:
        dataclasses.replace(bundle.goldens, **changes(bundle.goldens)).save(copy / GOLDENS)

    return change


def swapped(goldens: Goldens) -> Mapping[str, Any]:
    """Give every golden image its neighbour's embedding."""
    return {"golden_embeddings": np.roll(goldens.golden_embeddings, 1, axis=0)}


def stale(goldens: Goldens) -> Mapping[str, Any]:
    """Give golden images the embeddings of an earlier model, 10 degrees away."""
    turn = rotation(goldens.golden_embeddings.shape[1], 10.0)
    return {"golden_embeddings": (goldens.golden_embeddings @ turn).astype(np.float32)}


def one_image(goldens: Goldens) -> Mapping[str, Any]:
    """Make all golden images the same: anything that gives this image's embedding agrees with all of them."""
    names = ("golden_images", "golden_tensors", "golden_embeddings")
    return {name: np.repeat(getattr(goldens, name)[:1], len(goldens.golden_images), axis=0) for name in names}


def another_cloud(goldens: Goldens) -> Mapping[str, Any]:
    """Index the gallery with a cloud that this student was never trained for."""
    return {"retrieval_cloud": _turned(goldens.retrieval_cloud)}


def _turned(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    size = vectors.shape[1]
    turn = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(size, size)))[0]
    return (vectors @ turn).astype(np.float32)


def permuted_gallery(goldens: Goldens) -> Mapping[str, Any]:
    """Reorder the gallery's vectors, but not its images."""
    order = np.random.default_rng(_SEED).permutation(len(goldens.retrieval_cloud))
    return {"retrieval_cloud": goldens.retrieval_cloud[order]}


def swapped_texts(goldens: Goldens) -> Mapping[str, Any]:
    """Give every text another one's vector."""
    texts = require_texts(goldens)
    return {"texts": dataclasses.replace(texts, vectors=np.roll(texts.vectors, 1, axis=0))}


def another_tower(goldens: Goldens) -> Mapping[str, Any]:
    """Embed the texts with the text tower of another space."""
    texts = require_texts(goldens)
    return {"texts": dataclasses.replace(texts, vectors=_turned(texts.vectors))}


def another_space(goldens: Goldens) -> Mapping[str, Any]:
    """Embed gallery and texts with the towers of a space that this student was never trained for."""
    return {**another_tower(goldens), **another_cloud(goldens)}


def require_texts(goldens: Goldens) -> DescribedImages:
    """Return the golden texts.

    Raises:
        InputError: If there are none.
    """
    if goldens.texts is None:
        raise InputError("the bundle holds no golden texts")
    return goldens.texts


def without_antialiasing(bundle: Bundle, entry: ModelEntry, target: Target) -> Change:
    """Resize golden images without antialiasing; everything computed from them agrees with them."""

    def changes(goldens: Goldens) -> Mapping[str, Any]:
        images, student = goldens.retrieval_images.copy(), goldens.retrieval_student.copy()
        rows = np.array(list(bundle.originals))
        for row, path in bundle.originals.items():
            images[row] = resized_with(path, bundle.preprocessing, bilinear)
        request = Request("fault", target.runtimes[entry.format], bundle.file(entry), images[rows], entry.precision)
        returned = target.run(request, lambda _done, _total: None)
        assert returned.embeddings is not None, returned.error
        student[rows] = returned.embeddings
        return {"retrieval_images": images, "retrieval_student": student}

    return goldens_changed(bundle, changes)
