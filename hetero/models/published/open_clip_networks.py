"""Image towers of the package open_clip, by name, or from a directory as open_clip publishes one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from hetero.errors import InputError, IntegrityError
from hetero.foreign import strict_json
from hetero.models.backbones.open_clip_package import open_clip_for
from hetero.models.families import OPEN_CLIP
from hetero.models.published.hub import cached_weights, no_downloads
from hetero.models.published.network import PublishedNetwork
from hetero.models.published.preparation import NOT_SQUARE, Preparation
from hetero.models.published.weights import load_into, read_weights, require_safetensors

CONFIG, FILE = "open_clip_config.json", "open_clip_model.safetensors"
_TOWER = "visual."
_DECISIVE = ("mean", "std", "interpolation", "resize_mode", "fill_color", "size")
_SMALLEST_TEXT = {"context_length": 4, "vocab_size": 4, "width": 8, "heads": 1, "layers": 1}
"""A text tower of which nothing is used; some published ones would be fetched."""


class ImageTower(nn.Module):
    """The part of a network of open_clip that its ``encode_image`` runs."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the projected vectors of normalised images; some towers give their tokens, too."""
        output = self.visual(pixels)
        return output[0] if isinstance(output, tuple) else output


def open_clip_network(name: str, weights: Path | None) -> PublishedNetwork:
    """Load the image tower of a network of open_clip; its vectors are those of ``encode_image``.

    Args:
        name: NAME or NAME:TAG of its list, or a directory: open_clip_config.json with open_clip_model.safetensors.
        weights: See :func:`hetero.models.published.network.published_network`.

    Raises:
        InputError: See there.
        IntegrityError: See there.
    """
    full = OPEN_CLIP + name
    library = open_clip_for(full)
    if (Path(name) / CONFIG).is_file():
        called, published = f"local-dir:{name}", dict[str, Any]()
        config = _saved(Path(name) / CONFIG)
    else:
        called, _, tag = name.partition(":")
        config, published = _listed(library, called, tag)
    *_, file = open_clip_files(name, weights)
    # In the place of a text tower of another package, which would be looked for on the hub.
    text = {} if "multimodal_cfg" in config else {"text_cfg": dict(_SMALLEST_TEXT)}
    try:
        with no_downloads():
            model = library.create_model(called, load_weights=False, force_preprocess_cfg=published, **text)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise InputError(f"open_clip could not make {name!r}: {error}") from None
    tower = {key: value for key, value in read_weights(file).items() if key.startswith(_TOWER)}
    network = ImageTower(model.visual)
    load_into(network, tower, name=full, where=file)
    output = "projected vectors (encode_image)"
    return PublishedNetwork(network.eval(), output, open_clip_preparation(library.get_model_preprocess_cfg(model)))


def open_clip_files(name: str, weights: Path | None) -> list[Path]:
    """Return the files that decide a network of open_clip, its weights last; see :func:`open_clip_network`."""
    directory = Path(name)
    if (directory / CONFIG).is_file():
        return [directory / CONFIG, require_safetensors(weights or directory / FILE)]
    if weights:
        return [require_safetensors(weights)]
    called, _, tag = name.partition(":")
    published = _listed(open_clip_for(OPEN_CLIP + name), called, tag)[1] if tag else {}
    repository, _, file = str(published.get("hf_hub", "")).rpartition("/")
    return [cached_weights(OPEN_CLIP + name, repository, file, otherwise=FILE)]


def open_clip_preparation(config: Mapping[str, Any]) -> Preparation:
    """Return what open_clip's ``image_transform`` makes of a network's ``preprocess_cfg`` when it is not trained.

    It is written anew here since open_clip's own needs torchvision.
    """
    stated = config["size"]
    size: tuple[int, int] = (stated, stated) if isinstance(stated, int) else (int(stated[0]), int(stated[1]))
    common: dict[str, Any] = {
        "size": size,
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        # open_clip takes bicubic for "random", too, when it does not train.
        "filter": "bilinear" if config["interpolation"] == "bilinear" else "bicubic",
    }
    match config["resize_mode"]:
        case "squash":
            return Preparation(**common)
        case "longest":
            return Preparation(**common, resize="pad", pad_value=int(config.get("fill_color") or 0))
        case _:
            obstacles = () if size[0] == size[1] else (NOT_SQUARE,)
            return Preparation(**common, resize="crop", cut_from=size[0], obstacles=obstacles)


def _saved(file: Path) -> dict[str, Any]:
    """Return the architecture that a directory states.

    Raises:
        IntegrityError: When the file is damaged.
    """
    stated: Any = strict_json(file.read_bytes(), what=str(file))
    config: Any = stated.get("model_cfg") if isinstance(stated, dict) else None
    if not isinstance(config, dict):
        raise IntegrityError(f"{file}: expected the architecture as model_cfg, found none")
    return cast("dict[str, Any]", config)


def _listed(library: Any, name: str, tag: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the architecture of a network by name, and what is known of its published weights.

    Raises:
        InputError: When there is no such network or tag, or no tag says which of several ways to prepare images it is.
    """
    config: dict[str, Any] | None = library.get_model_config(name)
    if config is None:
        close = [each for each in library.list_models() if each.startswith(name[:5])][:5]
        raise InputError(f"open_clip has no model {name!r}; similar names: {', '.join(close) or 'none'}")
    activation = bool(config.get("quick_gelu", False))
    known = {each: library.get_pretrained_cfg(name, each) for each in library.list_pretrained_tags_by_model(name)}
    if tag:
        if tag not in known:
            raise InputError(f"open_clip has no weights {tag!r} of {name}; expected {', '.join(known) or 'no tag'}")
        if bool(known[tag].get("quick_gelu", False)) != activation:
            twin = name.removesuffix("-quickgelu") if activation else f"{name}-quickgelu"
            raise InputError(f"the weights {tag} are those of {twin}, which has another activation than {name}")
        return config, known[tag]
    alike = [each for each in known.values() if bool(each.get("quick_gelu", False)) == activation]
    ways = {repr([each.get(key) for key in _DECISIVE]) for each in alike}
    if len(ways) > 1:
        raise InputError(
            f"{OPEN_CLIP}{name}: its published weights want their images in {len(ways)} different ways: say which they "
            f"are as {OPEN_CLIP}{name}:TAG, one of {', '.join(known)}"
        )
    return config, {key: alike[0][key] for key in _DECISIVE if key in alike[0]} if alike else {}
