"""What a bundle says about itself: ``manifest.json``."""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from hetero.errors import IntegrityError
from hetero.schema import parse, record

SCHEMA = "hetero/bundle/1"
MANIFEST, SPACE, PREPROCESS, GOLDENS, README = (
    "manifest.json",
    "space.json",
    "preprocess.json",
    "goldens.safetensors",
    "README.md",
)

Format = Literal["onnx", "litert", "coreml"]
Precision = Literal["fp32"]
FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# Names become file names on every platform, keys in reports and arguments of shell commands on a device.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,7}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@record
class FileEntry:
    """A file of the bundle.

    Attributes:
        path: Relative to the bundle, with forward slashes.
        sha256: Hexadecimal digest of its content.
        size: In bytes.
    """

    path: str
    sha256: str
    size: int


@record
class TensorEntry:
    """A model's input or output.

    Attributes:
        name: As the runtime knows it.
        type: ``uint8`` or ``float32`` for a tensor, ``image-rgb`` for a Core ML image.
        shape: With the batch for a tensor; height and width for an image.
    """

    name: str
    type: Literal["uint8", "float32", "image-rgb"]
    shape: tuple[int, ...]


@record
class ModelEntry:
    """One exported model.

    Attributes:
        file: Its path in the bundle: a file, or a directory whose files are listed one by one.
        format: Which family of runtimes reads it.
        precision: Of weights and arithmetic.
        sha256: Of the file; of a directory, the digest of its files' paths and digests.
        size: In bytes; of a directory, the sum.
        input: What it takes.
        output: What it gives.
        versions: Converter and runtime versions that it was made and checked with.
        checked: ``pass`` when a runtime reproduced torch's embedding of every golden image at export time;
            ``not verified`` when the exporting machine has no runtime for the format.
        min_cosine: The smallest cosine between the runtime's and torch's embedding of a golden image.
    """

    file: str
    format: Format
    precision: Precision
    sha256: str
    size: int
    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    checked: Literal["pass", "not verified"]
    min_cosine: float | None = None


@record
class TaskEntry:
    """A retrieval task whose rows are in the goldens as ``task.<index>.query`` and ``task.<index>.gallery``."""

    name: str
    exclude_self: bool


@record
class Manifest:
    """The contents of a bundle.

    Attributes:
        name: The model's name.
        hetero: Version of hetero that wrote the bundle.
        space_id: The embedding space that the model's vectors belong to.
        source: SHA-256 of the ``model.safetensors`` that was exported.
        macs: Multiply-accumulates of one image.
        parameters: Number of weights.
        models: The exported models.
        tasks: The retrieval tasks in the goldens.
        files: Every file of the bundle except the manifest.
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
    schema: Literal["hetero/bundle/1"] = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable record."""
        return asdict(self)

    def files_of(self, model: ModelEntry) -> tuple[FileEntry, ...]:
        """The file, or the files of the directory, that hold a model."""
        inside = model.file + "/"
        return tuple(file for file in self.files if file.path == model.file or file.path.startswith(inside))

    @classmethod
    def from_dict(cls, value: object, *, what: str) -> Manifest:
        """Check a record and turn it into a manifest.

        Raises:
            IntegrityError: With every problem found.
        """
        if isinstance(value, dict) and value.get("schema") != SCHEMA:
            raise IntegrityError(
                f"{what}: expected the schema {SCHEMA!r}, got {str(value.get('schema'))[:100]!r}; "
                "export the model again with this version of hetero"
            )
        manifest = parse(cls, value, what=what, error=IntegrityError)
        if problems := [*_file_problems(manifest), *_content_problems(manifest)]:
            raise IntegrityError(f"{what} is not valid:", problems)
        return manifest


def combined_digest(files: tuple[FileEntry, ...], model_file: str) -> tuple[str, int]:
    """Digest and size of a model: the file's own, or those that follow from a directory's files.

    Args:
        files: As :meth:`Manifest.files_of` gives them.
        model_file: The model's path in the bundle.
    """
    from hetero.files import digest

    if len(files) == 1 and files[0].path == model_file:
        return files[0].sha256, files[0].size
    inside = sorted((PurePosixPath(file.path).relative_to(model_file).as_posix(), file.sha256) for file in files)
    return digest(inside), sum(file.size for file in files)


def require_name(name: str) -> None:
    """Refuse a model name that cannot be a file name everywhere.

    Raises:
        IntegrityError: When it holds other characters than letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name):
        raise IntegrityError(
            "a model's name may hold letters, digits, '.', '-' and '_', at most 100, a letter or digit first; "
            f"got {name[:200]!r}"
        )


def _file_problems(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    paths = [file.path for file in manifest.files]
    for file in manifest.files:
        shown = file.path[:200]
        if not _PATH.fullmatch(file.path):
            problems.append(f"files: {shown!r} is not a plain relative path inside the bundle")
        if not _SHA256.fullmatch(file.sha256):
            problems.append(f"files: {shown!r}: sha256 must be 64 hexadecimal digits")
        if file.size < 0:
            problems.append(f"files: {shown!r}: size must not be negative, got {file.size}")
    if len({path.lower() for path in paths}) < len(paths):
        problems.append("files: a path is listed twice (letter case does not count)")
    if MANIFEST in paths:
        problems.append(f"files: {MANIFEST} cannot list itself")
    problems += [f"files: {name} is not listed" for name in (SPACE, PREPROCESS, GOLDENS, README) if name not in paths]
    return problems


def _content_problems(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    if not _NAME.fullmatch(manifest.name):
        problems.append(f"name: {manifest.name[:200]!r} holds characters other than letters, digits, '.', '-' and '_'")
    for field in ("space_id", "source"):
        if not _SHA256.fullmatch(getattr(manifest, field)):
            problems.append(f"{field}: must be 64 hexadecimal digits")
    if manifest.macs < 0 or manifest.parameters < 0:
        problems.append("macs and parameters must not be negative")
    for task in manifest.tasks:
        if not task.name.isprintable() or not 0 < len(task.name) <= 200:
            problems.append(f"tasks: {task.name[:200]!r} is not a printable name of 1 to 200 characters")
    kinds = [(model.format, model.precision) for model in manifest.models]
    if len(set(kinds)) < len(kinds):
        problems.append("models: a format is listed twice with the same precision")
    if not kinds:
        problems.append("models: none is listed")
    for model in manifest.models:
        problems += _model_problems(manifest, model)
    return problems


def _model_problems(manifest: Manifest, model: ModelEntry) -> list[str]:
    what = f"models: {model.format} {model.precision}"
    files = manifest.files_of(model)
    if not files:
        return [f"{what}: its file {model.file[:200]!r} is not listed under files"]
    problems: list[str] = []
    if (model.sha256, model.size) != combined_digest(files, model.file):
        problems.append(f"{what}: sha256 and size are not those of its files")
    if any(not 0 < side < 2**31 for tensor in (model.input, model.output) for side in tensor.shape):
        problems.append(f"{what}: shapes must be positive")
    if (model.checked == "pass") != (model.min_cosine is not None):
        problems.append(f"{what}: min_cosine belongs to a model that was checked")
    if model.min_cosine is not None and not (math.isfinite(model.min_cosine) and -1.001 <= model.min_cosine <= 1.001):
        problems.append(f"{what}: min_cosine must lie between -1 and 1")
    return problems
