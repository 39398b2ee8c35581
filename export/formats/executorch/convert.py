"""ExecuTorch, torch's own runtime for Android, iOS and embedded Linux, with the kernels of XNNPACK."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.bundle.quantisation import Quantisation
from export.formats.converter import ConversionJob
from export.formats.executorch import runtime
from export.formats.executorch.description import read_description
from export.formats.executorch.int8 import quantised
from export.formats.executorch.lowering import lowered
from export.formats.executorch.rules import RULES
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.rewrites.operator_support import convertible, named_refusals
from hetero.files import write_bytes


@dataclass(frozen=True)
class Prepared:
    """The graph that every file is lowered from.

    Attributes:
        program: A ``torch.export.ExportedProgram``.
        job: The converter's job.
    """

    program: Any
    job: ConversionJob


def prepare(program: Any, job: ConversionJob) -> Prepared:
    """Check that the format has every operator."""
    return Prepared(convertible(program, RULES), job)


def write(prepared: Prepared, precision: Precision, out: Path) -> Quantisation | None:
    """Write one self-contained file."""
    program, job, quantisation = prepared.program, prepared.job, None
    with named_refusals(RULES):
        if precision == "fp32":
            content = lowered(program, job.metadata)
        else:
            content, quantisation = quantised(program, job.metadata, job.required_calibration, job.goals[precision])
    write_bytes(out, content)
    return quantisation


def read_metadata(path: Path) -> dict[str, str]:
    """Return the JSON that the method ``hetero`` gives."""
    return read_description(path.read_bytes())


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Return input and output of the method ``forward``."""
    return runtime.Loaded(path.read_bytes()).signature()


def run(path: Path, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with ExecuTorch's runtime on the CPU."""
    return runtime.embed(path.read_bytes(), images)
