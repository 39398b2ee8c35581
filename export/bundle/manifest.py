"""A bundle's description of itself: ``manifest.json``."""

from __future__ import annotations

import re
from dataclasses import asdict, field
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from export.bundle.accelerators import AcceleratorFit
from export.bundle.quantisation import Quantisation
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.kinds.registry import FormatName
from hetero.errors import IntegrityError
from hetero.metrics.bootstrap import Interval
from hetero.schema import record

SCHEMA = "hetero/bundle/1"
SIGNATURE = "manifest.sig"
MANIFEST, SPACE, PREPROCESS, GOLDENS, README = (
    "manifest.json",
    "space.json",
    "preprocess.json",
    "goldens.safetensors",
    "README.md",
)

GALLERY = "gallery"
"""Folder of the gallery that a bundle may carry."""
GRAPH, IDS = f"{GALLERY}/index.usearch", f"{GALLERY}/ids.jsonl"
"""Its graph, whose key of an item is the number of its line, from 0, in the list of ids."""

# Names become file names on every platform, keys in reports and arguments of shell commands on a device.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


Part = Literal["goldens", "originals", "selftest"]
"""A part of a bundle that holds images: a file, and two folders."""


@record
class FileEntry:
    """A file of the bundle.

    Attributes:
        path: Relative to the bundle, with forward slashes.
        sha256: Hexadecimal digest of its content.
        size: Size in bytes.
    """

    path: str
    sha256: str
    size: int


@record
class MissingEntry:
    """A requested file that could not be made."""

    format: FormatName
    precision: Precision
    reason: str


@record
class FusionEntry:
    """Training branches that were merged into single layers before the conversion.

    The files contain the merged network; ``source`` and the space are those of the trained weights.

    Attributes:
        blocks: Number of merged blocks by the name of their class.
        macs: Multiply-accumulates of one image with the branches.
        parameters: Number of weights with the branches.
        moved: Largest distance between a golden image's unit vectors with the branches and without.
    """

    blocks: dict[str, int]
    macs: int
    parameters: int
    moved: float


@record
class Provenance:
    """The origin of the exported weights.

    Attributes:
        recipe: SHA-256 of the recipe that trained them; empty if unknown.
        seed: The seed of the training; None if unknown.
    """

    recipe: str = ""
    seed: int | None = None


@record
class ModelEntry:
    """One exported model.

    Attributes:
        file: Its path in the bundle: a file, or a directory whose files are listed one by one.
        format: Name of the format.
        precision: Precision of weights and arithmetic.
        sha256: Digest of the file; of a directory, the digest of its files' paths and digests.
        size: Size in bytes; of a directory, the sum.
        input: The model's input.
        output: The model's output.
        versions: Versions of the converter and runtime that made and checked it.
        checked: ``pass`` if a runtime reproduced torch's embedding of every golden image at export time;
            ``not verified`` if the exporting machine has no runtime for the format, or the golden images cannot
            tell models apart (:mod:`export.conversion.telling`).
        min_cosine: The smallest cosine between the runtime's and torch's embedding of a golden image.
        mean_cosine: The mean of these cosines.
        golden_room: Median ``1 - cosine`` between golden images and their nearest other one, in torch: if it is no
            larger than the drift allowed between a file and torch, ``min_cosine`` proves nothing.
        calibration_loss: Share of asymmetric map@r lost against torch on the calibration queries; None without
            queries or runtime. Negative for a gain.
        calibration_interval: It, with its 95 % interval over these queries; None in bundles of earlier versions, too.
        quantisation: For int8 files, the choice behind them.
        accelerators: The part of the file that each phone's accelerator takes, as its operators tell; empty if that is
            not verified.
        warnings: Doubts that remained, for instance values outside of float16's range.
    """

    file: str
    format: FormatName
    precision: Precision
    sha256: str
    size: int
    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    checked: Literal["pass", "not verified"]
    min_cosine: float | None = None
    mean_cosine: float | None = None
    golden_room: float | None = None
    calibration_loss: float | None = None
    calibration_interval: Interval | None = None
    quantisation: Quantisation | None = None
    accelerators: tuple[AcceleratorFit, ...] = ()
    warnings: tuple[str, ...] = ()


@record
class RecommendationEntry:
    """The file of a format that an application should ship.

    Attributes:
        format: The format.
        precision: The file's precision.
        file: Its path in the bundle.
        why: The figures that decided, for it and against the others; see :mod:`export.precision.recommendation`.
    """

    format: FormatName
    precision: Precision
    file: str
    why: str


@record
class ImagesEntry:
    """The images that a bundle holds, all of them taken from the retrieval set.

    Attributes:
        retrieval: Number of prepared images in the goldens.
        originals: Number of them that are there as undecoded files, too.
        self_test: Number of pictures for an application's self-test, made of golden images.
        origin: Where they come from and whether persons or users can be seen, in words; empty if not stated.
    """

    retrieval: int
    originals: int
    self_test: int
    origin: str = ""

    def in_words(self) -> str:
        """Describe them in a line."""
        return (
            f"{self.retrieval:,} for retrieval, {self.originals:,} of them as original files, {self.self_test} for the "
            f"self-test of an application; origin: {self.origin or 'not stated'}"
        )


@record
class TextsEntry:
    """The golden texts, which describe some of the retrieval images.

    Attributes:
        count: Number of texts.
        found: Number of them whose first hit among the cloud's vectors was right at export: texts that were exchanged
            since find fewer.
    """

    count: int
    found: int


@record
class GalleryEntry:
    """The gallery that the bundle carries: ``gallery/index.usearch`` and, a line for each of its keys, ``ids.jsonl``.

    Attributes:
        items: Number of items.
        effort: Candidates that a search keeps (``ef``).
        connectivity: Links of an item in the graph (``M``).
        usearch: Version of usearch that wrote the graph: inner products of float16.
    """

    items: int
    effort: int
    connectivity: int
    usearch: str


@record
class TaskEntry:
    """A retrieval task whose rows are in the goldens as ``task.<index>.query`` and ``task.<index>.gallery``."""

    name: str
    exclude_self: bool


@record
class Manifest:
    """The content of a bundle.

    Attributes:
        name: The model's name.
        hetero: Version of hetero that wrote the bundle.
        space_id: The embedding space that the model's vectors belong to.
        source: SHA-256 of the ``model.safetensors`` that was exported.
        macs: Multiply-accumulates of one image, in the network that was converted.
        parameters: Number of its weights.
        models: The exported models.
        tasks: The retrieval tasks in the goldens.
        files: Every file of the bundle except the manifest and its signature.
        missing: Requested files that could not be made.
        licence: SPDX identifier or words; empty if not stated.
        provenance: Origin of the weights.
        calibration: SHA-256 of the calibration images; empty if there were none.
        fusion: Merged branches; None if there were none.
        recommended: A file of each format that has one to recommend; empty in bundles of earlier versions.
        images: The images in the bundle; None in bundles of earlier versions.
        texts: The golden texts, with which text queries are verified; None without any.
        gallery: The gallery that goes with the model; None if applications bring or ask their own.
        schema: Version of this record.
    """

    name: str
    hetero: str
    space_id: str
    source: str
    macs: int
    parameters: int
    models: tuple[ModelEntry, ...]
    tasks: tuple[TaskEntry, ...]
    files: tuple[FileEntry, ...]
    missing: tuple[MissingEntry, ...] = ()
    licence: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    calibration: str = ""
    fusion: FusionEntry | None = None
    recommended: tuple[RecommendationEntry, ...] = ()
    images: ImagesEntry | None = None
    texts: TextsEntry | None = None
    gallery: GalleryEntry | None = None
    schema: Literal["hetero/bundle/1"] = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return asdict(self)

    def files_of(self, model: ModelEntry) -> tuple[FileEntry, ...]:
        """Return the file, or the files of the directory, of a model."""
        inside = model.file + "/"
        return tuple(file for file in self.files if file.path == model.file or file.path.startswith(inside))


def part_of(path: str) -> Part | None:
    """Return the part with images that a file of a bundle belongs to."""
    folder = path.partition("/")[0]
    return next((part for part in get_args(Part) if folder == (GOLDENS if part == "goldens" else part)), None)


def combined_digest(files: tuple[FileEntry, ...], model_file: str) -> tuple[str, int]:
    """Return digest and size of a model: the file's own, or those derived from a directory's files.

    Args:
        files: Files as :meth:`Manifest.files_of` returns them.
        model_file: The model's path in the bundle.
    """
    from hetero.files import digest

    if len(files) == 1 and files[0].path == model_file:
        return files[0].sha256, files[0].size
    inside = sorted((PurePosixPath(file.path).relative_to(model_file).as_posix(), file.sha256) for file in files)
    return digest(inside), sum(file.size for file in files)


def require_name(name: str) -> None:
    """Refuse a model name that is not a valid file name on every platform.

    Raises:
        IntegrityError: If it contains characters other than letters, digits, dot, dash and underscore.
    """
    if not NAME.fullmatch(name):
        raise IntegrityError(
            "a model's name may hold letters, digits, '.', '-' and '_', at most 100, a letter or digit first; "
            f"got {name[:200]!r}"
        )
