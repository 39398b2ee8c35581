"""Every reader of bytes that others wrote, as one function of a file.

Whatever the bytes are, a reader gives a result or raises an :class:`hetero.errors.InputError`. Anything else is a
finding. Readers of several files find the others sound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from device_tests.ladder.identity import space_in_file
from device_tests.runtimes.coreml import load as load_coreml
from device_tests.verdict.policy import Policy
from export.bundle.checks import checked_manifest
from export.bundle.goldens import Goldens, RetrievalSet
from export.bundle.manifest import Manifest, TaskEntry
from export.bundle.signing import read_signature
from hetero.adapters.storage import SpaceAdapter
from hetero.compare.config import load_comparison
from hetero.data.decoding.decode import decode, picture_size
from hetero.data.embeddings.file import load_embeddings, raw_vectors
from hetero.data.index.tar import tar_rows
from hetero.data.sources.csv import read_csv
from hetero.errors import InputError
from hetero.files import sha256_file
from hetero.foreign import strict_json
from hetero.gallery import storage
from hetero.gallery.exact import Gallery
from hetero.models.directory import PROTOTYPES, load_prototype_classes, load_prototypes
from hetero.nas.space.file import load_space
from hetero.pipeline.draft import load_recipe
from hetero.preprocessing import Preprocessing
from hetero.schema import parse_file
from hetero.space import EmbeddingSpace
from tests.export.bundles import DIMENSION, PREPROCESSING, SPACE, tasks, units
from tests.fuzz import seeds

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        file: What it is given, in the folder that ``prepare`` filled.
        prepare: Fills a folder with everything that is read beside it.
        read: Reads the file at a path.
        seeds: Sound files by name, of which at least one is read.
    """

    file: str
    prepare: Callable[[Path], object]
    read: Read
    seeds: Callable[[], Mapping[str, bytes]]

    def one(self, folder: Path, data: bytes) -> bool:
        """Read some bytes.

        Args:
            folder: Prepared.
            data: The file's content.

        Returns:
            True if they were read, False if they were refused.
        """
        path = folder / self.file
        # A new file: one that is mapped into memory must not change.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        try:
            self.read(path)
        except InputError as refusal:
            str(refusal).encode()
            return False
        return True


def _manifest(path: Path) -> Manifest:
    return checked_manifest(strict_json(path.read_bytes(), what=path.name), what=path.name)


def _goldens(path: Path) -> Goldens:
    entries = tuple(TaskEntry(task.name, task.exclude_self) for task in tasks())
    return Goldens.load(path, tasks=entries, preprocessing=PREPROCESSING, dimension=DIMENSION)


def _gallery(path: Path) -> object:
    """With the digest that an attacker would write, too."""
    file = path.parent / storage.INDEX
    index = json.loads(file.read_bytes())
    index["sha256"][path.name] = sha256_file(path)
    file.write_text(json.dumps(index))
    return Gallery.load(path.parent)


def _adapter(path: Path) -> object:
    file = path.parent / "adapter.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"arrays": sha256_file(path)}))
    return SpaceAdapter.load(path.parent)(units(3, 0), SPACE)


def _prototypes(path: Path) -> object:
    """With the digest in ``space.json``, too."""
    file = path.parent / "space.json"
    file.write_text(json.dumps(SPACE.to_dict() | {"prototypes": sha256_file(path)}))
    return load_prototypes(path.parent), load_prototype_classes(path.parent)


def _vectors(path: Path) -> None:
    """A file of embeddings, as both of its readers see it."""
    try:
        load_embeddings(path)
    finally:
        raw_vectors(path)


def _coreml(package: Path) -> None:
    load_coreml(package).predict({"image": seeds.PICTURE})


def _shard(path: Path) -> object:
    with path.open("rb") as stream:
        rows = tar_rows(stream, "shard", label="label", with_contents=True)
    if rows.problems:
        raise InputError("refused", rows.problems)
    return rows


def _nothing(_folder: Path) -> None:
    pass


TARGETS: Mapping[str, Target] = {
    "manifest": Target("manifest.json", _nothing, _manifest, seeds.manifest),
    "preprocess": Target(
        "preprocess.json",
        _nothing,
        lambda path: parse_file(Preprocessing, path),
        lambda: {"sound": json.dumps(PREPROCESSING.to_dict()).encode()},
    ),
    "signature": Target("manifest.sig", _nothing, read_signature, seeds.signature),
    "space": Target("space.json", _nothing, EmbeddingSpace.load, seeds.space),
    "goldens": Target("goldens.safetensors", _nothing, _goldens, seeds.goldens),
    "retrieval": Target("retrieval.safetensors", _nothing, RetrievalSet.load, seeds.retrieval),
    "embeddings": Target("e.safetensors", seeds.write_names, _vectors, seeds.embeddings),
    "npy": Target("e.npy", seeds.write_names, _vectors, seeds.npy),
    "names": Target(
        "names.txt",
        seeds.write_npy,
        lambda path: load_embeddings(path.with_suffix(".npy")),
        lambda: {"sound": b"a.jpg\nb.jpg\n\xc3\xbc/c.jpg\n"},
    ),
    "table of names": Target(
        "names.csv",
        seeds.write_npy,
        lambda path: load_embeddings(path.with_suffix(".npy")),
        lambda: {"sound": b'label,path\n0,a.jpg\n1,"b,\n.jpg"\n2,c.jpg\n'},
    ),
    "gallery": Target(storage.VECTORS, seeds.write_gallery, _gallery, seeds.gallery),
    "adapter": Target("adapter.safetensors", seeds.write_adapter, _adapter, seeds.adapter),
    "prototypes": Target(PROTOTYPES, _nothing, _prototypes, seeds.prototypes),
    "csv": Target("table.csv", seeds.write_pictures, read_csv, seeds.csv),
    "recipe": Target("recipe.toml", _nothing, load_recipe, seeds.recipe),
    "comparison": Target("comparison.toml", _nothing, load_comparison, seeds.comparison),
    "search space": Target("space.toml", _nothing, load_space, seeds.search_space),
    "policy": Target("policy.toml", _nothing, Policy.load, seeds.policy),
    "onnx": Target("m.onnx", _nothing, lambda path: space_in_file("onnx", path), seeds.onnx),
    "litert": Target("m.tflite", _nothing, lambda path: space_in_file("litert", path), seeds.litert),
    "coreml package": Target(
        "m.mlpackage/Manifest.json",
        seeds.write_coreml_package,
        lambda path: _coreml(path.parent),
        lambda: seeds.coreml("Manifest.json"),
    ),
    "coreml model": Target(
        f"m.mlpackage/{seeds.COREML_MODEL}",
        seeds.write_coreml_package,
        lambda path: _coreml(path.parents[2]),
        lambda: seeds.coreml(seeds.COREML_MODEL),
    ),
    "coreml weights": Target(
        f"m.mlpackage/{seeds.COREML_WEIGHTS}",
        seeds.write_coreml_package,
        lambda path: _coreml(path.parents[3]),
        lambda: seeds.coreml(seeds.COREML_WEIGHTS),
    ),
    "tar shard": Target("shard.tar", _nothing, _shard, seeds.shards),
    "image": Target("image", _nothing, lambda path: (picture_size(path), decode(path, PREPROCESSING)), seeds.pictures),
}
"""By name."""
