"""What a bundle says about itself: ``manifest.json``."""

from __future__ import annotations

import re
from dataclasses import asdict, field
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from hetero.errors import IntegrityError
from hetero.evaluation.bootstrap import Interval
from hetero.schema import parse, record

SCHEMA = "hetero/bundle/1"
SIGNATURE = "manifest.sig"
MANIFEST, SPACE, PREPROCESS, GOLDENS, README = (
    "manifest.json",
    "space.json",
    "preprocess.json",
    "goldens.safetensors",
    "README.md",
)

Format = Literal["onnx", "litert", "coreml"]
Precision = Literal[
    "fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io", "palette8", "palette6", "palette4"
]
Calibrator = Literal["minmax", "average", "percentile", "entropy", "mse"]
Scales = Literal["channel", "depthwise", "tensor"]
DecidedBy = Literal["nothing", "not finite", "map@r", "overlap@10", "size", "angle"]
FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# Names become file names on every platform, keys in reports and arguments of shell commands on a device.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
        shape: With the batch for a tensor, 0 where it may be any; height and width for an image.
        scale: Of a quantised output: a value is ``scale * (byte - zero_point)``; 0 when it is not quantised.
        zero_point: See ``scale``.
    """

    name: str
    type: Literal["uint8", "float32", "image-rgb"]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0


@record
class Int8Figures:
    """What an int8 file did to calibration queries, which set none of its ranges where there are enough of them.

    Attributes:
        loss: Share of the float32 model's asymmetric map@r that it lost, with its 95 % interval.
        overlap: Share of the float32 model's ten nearest that it kept (overlap@10).
        angle: Mean angle of its vectors to the float32 model's, in degrees.
        size: Of the file, in bytes, before its description is added.
    """

    loss: Interval
    overlap: float
    angle: float
    size: int


@record
class Evidence:
    """Why an int8 file was made as it was; see :mod:`export.rule`.

    Attributes:
        queries: How many calibration queries were measured.
        classes: How many classes they are of.
        chosen: What the choice did to them.
        plain: What the plain tools' default did: a scale a channel, ranges from the smallest to the largest value,
            biases as they are.
        decided_by: What the default fell behind in; ``nothing`` when it was chosen.
        overlap_gain: The choice's overlap less the default's, with its paired 95 % interval; None when the default
            gives no finite vectors.
    """

    queries: int
    classes: int
    chosen: Int8Figures
    plain: Int8Figures | None
    decided_by: DecidedBy
    overlap_gain: Interval | None


@record
class Quantisation:
    """How an int8 file was made: as what keeps most of the float32 model's retrieval; see :mod:`export.rule`.

    Attributes:
        calibrator: How activation ranges follow from the values seen; None where weights alone are int8.
        scales: Whose weights have a scale of their own: each output channel's, those of depthwise convolutions only (a
            channel there has few weights, and shares no input with another), or only each layer's.
        reduce_range: Whether weights use 7 of 8 bits, which x86 processors without VNNI need.
        float_layers: Layers that stay in float32.
        tried: How many choices were measured.
        goal: Largest share of map@r that it was to lose.
        met: Whether it lost no more on the calibration queries that were measured to choose it.
        bias_correction: Whether biases make up for what rounded weights shift.
        evidence: What was measured; None in bundles that an earlier version wrote.
    """

    calibrator: Calibrator | None
    scales: Scales
    reduce_range: bool
    float_layers: tuple[str, ...]
    tried: int
    goal: float
    met: bool
    bias_correction: bool = False
    evidence: Evidence | None = None


@record
class MissingEntry:
    """A file that was asked for and could not be made."""

    format: Format
    precision: Precision
    reason: str


@record
class FusionEntry:
    """Training branches that were merged into single layers before the conversion.

    The files hold the merged network; ``source`` and the space are those of the weights that were trained.

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
    """Where the exported weights come from.

    Attributes:
        recipe: SHA-256 of the recipe that trained them; empty when none is known.
        seed: That training started from; None when it is not known.
    """

    recipe: str = ""
    seed: int | None = None


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
            ``not verified`` when the exporting machine has no runtime for the format, or the golden images cannot
            tell models apart (:mod:`export.telling`).
        min_cosine: The smallest cosine between the runtime's and torch's embedding of a golden image.
        mean_cosine: The mean of these cosines.
        golden_room: Median ``1 - cosine`` between golden images and their nearest other one, in torch: where it is
            no larger than what is allowed between a file and torch, ``min_cosine`` proves nothing.
        calibration_loss: Share of asymmetric map@r lost against torch on the calibration queries; None when there were
            none, or no runtime. Negative when it gained.
        quantisation: Of int8 files: the choice behind them.
        warnings: What the exporter could not rule out, for instance values outside of float16's range.
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
    mean_cosine: float | None = None
    golden_room: float | None = None
    calibration_loss: float | None = None
    quantisation: Quantisation | None = None
    warnings: tuple[str, ...] = ()


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
        macs: Multiply-accumulates of one image, in the network that was converted.
        parameters: Number of its weights.
        models: The exported models.
        tasks: The retrieval tasks in the goldens.
        files: Every file of the bundle except the manifest and its signature.
        missing: What was asked for and could not be made.
        licence: SPDX identifier or words; empty when nobody said.
        provenance: Where the weights come from.
        calibration: SHA-256 of the calibration images; empty when there were none.
        fusion: Branches that were merged; None when there were none.
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
        from export.manifest_checks import content_problems, file_problems

        if problems := [*file_problems(manifest), *content_problems(manifest)]:
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
    if not NAME.fullmatch(name):
        raise IntegrityError(
            "a model's name may hold letters, digits, '.', '-' and '_', at most 100, a letter or digit first; "
            f"got {name[:200]!r}"
        )
