"""The request to a converter's process, and its answer: JSON between two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from export.bundle.accelerators import AcceleratorFit
from export.bundle.quantisation import Quantisation
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.kinds.registry import FormatName
from hetero.files import read_json
from hetero.metrics.bootstrap import Interval
from hetero.schema import parse, record


@record
class Request:
    """A request to convert.

    Attributes:
        program: The captured graph.
        int8_program: The graph that full int8 is made from, if it is another.
        format: The target format.
        files: Precision and file of each, in the order to write them.
        goldens: The bundle's goldens, which the exported files must reproduce.
        work: A directory with the calibration, for results and temporary files.
        metadata: The contract.
        height: Height of the image.
        width: Width of the image.
        any_batch: True if the graph takes any number of images.
        goals: Largest share of map@r to lose, by precision.
        int8_goldens: The same images with torch's embeddings by ``int8_program``.
    """

    program: str
    int8_program: str
    format: FormatName
    files: dict[Precision, str]
    goldens: str
    work: str
    metadata: dict[str, str]
    height: int
    width: int
    any_batch: bool
    goals: dict[Precision, float]
    int8_goldens: str = ""

    def result(self, precision: Precision) -> Path:
        """Return the path of a file's :class:`Result`."""
        return Path(self.work) / f"{Path(self.files[precision]).name}.json"

    def outcome(self, precision: Precision) -> Result | str | None:
        """Return the result for a file, or the reason why there is none; None if neither exists yet."""
        path = self.result(precision)
        if not path.is_file():
            return None
        value = cast("dict[str, Any]", read_json(path))
        return value["error"] if "error" in value else parse(Result, value, what=f"the result in {path.name}")


@record
class Result:
    """The result of a conversion.

    Attributes:
        input: The file's input.
        output: The file's output.
        versions: Versions of the packages used.
        min_cosine: The smallest cosine with torch over the golden images; None if no runtime could run the file.
        mean_cosine: The mean of these cosines.
        golden_room: Median ``1 - cosine`` between golden images and their nearest other one, in torch; None if
            ``min_cosine`` is.
        calibration_loss: Share of map@r lost on the calibration queries, with its 95 % interval; None without them or
            without a runtime.
        quantisation: The quantisation of an int8 file.
        accelerators: The part of the file that each accelerator takes; empty if nothing here can tell.
        seconds: Time to write and check it; the shared conversion counts for the first file.
        peak_memory_bytes: The largest size of the process so far.
    """

    input: TensorEntry
    output: TensorEntry
    versions: dict[str, str]
    min_cosine: float | None
    mean_cosine: float | None
    golden_room: float | None
    calibration_loss: Interval | None
    quantisation: Quantisation | None
    accelerators: tuple[AcceleratorFit, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
