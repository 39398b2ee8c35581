"""The model that a command names: a directory, or Python code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.capture.source import Source, from_directory, from_module
from hetero.errors import InputError
from hetero.models.external.embedders import ModuleEmbedder
from hetero.models.external.module_output import Layout
from hetero.models.external.own import own_module
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import MODEL, PREPROCESSING
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse_file
from hetero.space import EmbeddingSpace


@dataclass(frozen=True)
class About:
    """What must be said of a model that is code.

    Attributes:
        preprocessing: File of its preprocessing, such as ``preprocess.json`` in a bundle.
        space: The ``space.json`` of its vectors; None for the space of the images that it is verified with.
        name: Name of the model; empty for its name in the code.
        takes: Its input; see :class:`hetero.models.external.embedders.ModuleEmbedder`.
    """

    preprocessing: Path | None = None
    space: Path | None = None
    name: str = ""
    takes: Layout | None = None


def source_called(model: str, about: About, space: EmbeddingSpace) -> Source:
    """Return the model to export.

    Args:
        model: A model directory, or ``module:attribute``, as :func:`hetero.models.external.own.own_module` takes it.
        about: What must be said of code.
        space: The space of the images that it is verified with.

    Raises:
        InputError: If it is no such model, with what it is instead.
        IntegrityError: If a file is damaged.
    """
    if not _is_code(model):
        if about != About():
            raise InputError(
                f"{model} says itself what --preprocessing, --space, --name and --takes say of Python code"
            )
        return from_directory(Path(model))
    made = own_module(model, what="model")
    name = about.name or model.rpartition(":")[2].rpartition(".")[2]
    space = space if about.space is None else EmbeddingSpace.load(about.space)
    if isinstance(made, ModuleEmbedder):
        if about.preprocessing is not None or about.takes is not None:
            raise InputError(f"{model} says itself how its images are prepared; leave out --preprocessing and --takes")
        return from_module(made.module, made.preprocessing, space, name=name, takes=made.takes)
    if about.preprocessing is None:
        raise InputError(f"--preprocessing: expected a file that says how images are prepared for {model}")
    refuse_others(about.preprocessing, PREPROCESSING)
    if not about.preprocessing.is_file():
        raise InputError(f"--preprocessing: expected a file at {about.preprocessing}, found none")
    preprocessing = parse_file(Preprocessing, about.preprocessing)
    return from_module(made, preprocessing, space, name=name, takes=about.takes or "normalised")


def require_model(model: str) -> None:
    """Refuse a path that shows at first sight that it is no model to export.

    Raises:
        InputError: With what it is instead.
    """
    if not _is_code(model):
        refuse_others(Path(model), MODEL)


def _is_code(model: str) -> bool:
    return ":" in model and not Path(model).exists()
