"""The table of a recipe's cloud model, from what a user calls it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hetero.data.config import path_text
from hetero.errors import InputError
from hetero.models.families import BY_NAME, EFFICIENTNET_LITE
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, MODEL, ONNX, SHARDS
from hetero.recognition.look import Look
from hetero.recognition.recognise import refuse_others

_KEYS = {MODEL: "directory", ONNX: "onnx", EMBEDDINGS: "embeddings", ARRAY: "embeddings", SHARDS: "embeddings"}
_FORMS = (
    f"a published network ({', '.join((EFFICIENTNET_LITE[0], *(f'{prefix}NAME' for prefix in BY_NAME)))}), a model "
    "directory, an .onnx or .pt2 file, a file of embeddings, or Python code as module:attribute"
)

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Takes:
    """How a cloud model's images are prepared, as far as a user says it.

    Attributes:
        size: Height and width in pixels.
        resize: See :class:`hetero.preprocessing.Preprocessing`.
        mean: Likewise.
        std: Likewise.
        weights: Weights of a published network by name.
        option: What the names of the options that state these begin with, for messages.
    """

    size: int | None = None
    resize: Literal["squash", "pad", "crop"] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    weights: Path | None = None
    option: str = "--cloud-"

    @property
    def stated(self) -> dict[str, Any]:
        """The keys of a preprocessing table that are stated."""
        sides = {} if self.size is None else {"height": self.size, "width": self.size}
        others = {"resize": self.resize, "mean": self.mean, "std": self.std}
        return {**sides, **{key: value for key, value in others.items() if value is not None}}


def cloud_table(cloud: str, takes: Takes) -> dict[str, Any]:
    """Return the table of a cloud model, recognised by what it is.

    Args:
        cloud: The name of a published backbone, a path, or ``module:attribute``.
        takes: How its images are prepared.

    Raises:
        InputError: When it is nothing that can be a cloud model, with what it is instead, or when the size of its
            images is not known.
    """
    key, value = _source(cloud)
    table: dict[str, Any] = {key: value}
    if takes.weights is not None:
        if not cloud.startswith(BY_NAME):
            raise InputError(f"{takes.option}weights: {cloud} has its own weights; leave it out")
        table["weights"] = path_text(takes.weights)
    stated = takes.stated
    if key == "onnx":
        # Late: it takes ONNX Runtime.
        from hetero.models.external.onnx import stated_preprocessing

        stated = stated_preprocessing(Path(value)) | stated
    if key in ("directory", "embeddings") and stated:
        options = ", ".join(
            f"{takes.option}{name}" for name in ("size", "resize", "mean", "std") if getattr(takes, name)
        )
        raise InputError(f"{options}: {cloud} says itself how its images are prepared, or needs none; leave it out")
    if "height" not in stated and (
        stated or key in ("onnx", "program") or (key == "module" and not _says_itself(value))
    ):
        raise InputError(
            f"{takes.option}size: expected the size of the images that {cloud} takes, which it does not say"
        )
    return table | ({"preprocessing": stated} if stated else {})


def _source(cloud: str) -> tuple[str, str]:
    """Return the key of the table that names such a model, and its value."""
    if cloud in EFFICIENTNET_LITE or cloud.startswith(BY_NAME):
        return "backbone", with_absolute_place(cloud)
    path = Path(cloud)
    if path.is_file() and path.suffix == ".pt2":
        return "program", path_text(path)
    if path.exists():
        refuse_others(path, *_KEYS, what="a cloud model")
        look = Look(path)
        if key := next((key for kind, key in _KEYS.items() if kind.fits(look)), ""):
            return key, path_text(path)
        raise InputError(f"expected a cloud model ({_FORMS}), got {cloud}, which is none of them")
    module, _, attribute = cloud.partition(":")
    if attribute.isidentifier() and all(part.isidentifier() for part in module.split(".")):
        return "module", cloud
    raise InputError(f"expected a cloud model ({_FORMS}), found nothing at {cloud}")


def with_absolute_place(name: str) -> str:
    """Return a published network's name so that it names the same directory in other folders, too."""
    prefix, _, place = name.partition(":")
    is_place = name.startswith(BY_NAME) and bool(place) and Path(place).is_dir()
    return f"{prefix}:{path_text(Path(place))}" if is_place else name


def _says_itself(path: str) -> bool:
    """Return True if a model in code says how its images are prepared."""
    # Late: they take torch.
    from hetero.models.external.embedders import ModuleEmbedder
    from hetero.models.external.own import own_module

    return isinstance(own_module(path, what="cloud model"), ModuleEmbedder)
