"""The definition of a format: one record, for all code that handles models' files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from export.kinds.graph import Graph
from export.kinds.interface import Shape, TensorEntry, tensors
from export.kinds.precision import Offer, Precision, Refusal

SPACE_KEY = "hetero.space_id"
"""The metadata key of the embedding space's id in every file."""

Kind = Literal["desktop", "phone", "old phone", "browser", "macos"]
"""A kind of target."""
Signature = Callable[[Precision, Shape], tuple[TensorEntry, TensorEntry]]


@dataclass(frozen=True)
class Engine:
    """An engine that runs a format's files on a kind of target.

    Attributes:
        name: The name in verdicts; no two engines share one.
        place: ``module:class`` of a :class:`device_tests.runner.engines.Runtime`; empty for an engine of
            ``device_tests/runner/engines.py`` or of the browser's page. Phones and browsers run no other.
        package: The distribution whose version decides what an engine with a ``place`` computes, if there is one.
    """

    name: str
    place: str = ""
    package: str = ""


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Converters and engines are heavy, and run in separate processes: they are named by import string, and imported
    there.

    Attributes:
        name: Name in manifests, recipes and on the command line.
        title: Name for people.
        platforms: The runtime and its platforms, for the model card.
        suffix: Suffix of a file, with its dot.
        converter: The module that is its :class:`export.formats.converter.Converter`.
        packages: Importable names of the converter's packages, each also a distribution whose version is recorded.
        precisions: An offer or a refusal for each; a missing precision is refused.
        engines: Engines by kind of target; a kind that is missing cannot verify it.
        card: Jinja template of its section in the model card, which shows how an application calls it: Markdown from
            the heading on, with the ``file`` to name, the format's ``models``, the ``preprocessing`` and the ``space``.
        read_space: Reads the id under :data:`SPACE_KEY` in a file, without the library that wrote it; empty if there
            is none. Files may come from anywhere: it may raise any exception for a damaged one.
        extra: The extra of hetero that installs the packages.
        signature: Returns input and output of a file of some precision.
        any_batch: True if files can take any number of images at once.
        read_graph: Reads a file with its intermediate values; None if nothing on this machine computes them.
        operators: The module that makes files of single operators, so that they can be timed; empty without one.
        accelerators: The module whose ``fits`` says how much of a file phones' accelerators take; empty if nothing on
            this machine can tell.
        effort: Slower conversions, which have a higher number, are started first.
        not_here: Message for a target without an engine, with its ``target`` and this ``format``.
    """

    name: str
    title: str
    platforms: str
    suffix: str
    converter: str
    packages: tuple[str, ...]
    precisions: Mapping[Precision, Offer | Refusal]
    engines: Mapping[Kind, Engine]
    card: str
    read_space: Callable[[Path], str]
    extra: str = "export"
    signature: Signature = tensors
    any_batch: bool = False
    read_graph: Callable[[Path], Graph] | None = None
    operators: str = ""
    accelerators: str = ""
    effort: int = 0
    not_here: str = "{target} has no runtime for {format}"

    def __post_init__(self) -> None:
        for name in ("precisions", "engines"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def entry(self, precision: Precision) -> Offer | Refusal:
        """Return the offer or refusal of a precision."""
        return self.precisions.get(precision, Refusal(f"{self.title} does not take it"))

    def file_name(self, precision: Precision) -> str:
        """Return the name of an exported file in its bundle, for instance ``model.fp32.onnx``."""
        return f"model.{precision}{self.suffix}"
