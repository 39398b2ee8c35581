"""Networks of the package timm, by name, or from a directory as timm saves one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hetero.errors import InputError, IntegrityError
from hetero.foreign import strict_json
from hetero.models.backbones.timm_package import timm_with
from hetero.models.families import TIMM
from hetero.models.published.hub import cached_weights, no_downloads
from hetero.models.published.network import PublishedNetwork
from hetero.models.published.preparation import NOT_SQUARE, Preparation
from hetero.models.published.weights import require_safetensors, shapes_of

CONFIG, FILE = "config.json", "model.safetensors"
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CROP_SHARE = 0.875


def timm_network(name: str, weights: Path | None) -> PublishedNetwork:
    """Load a network of timm; its vectors are what its head would classify (``forward_head(pre_logits=True)``).

    Args:
        name: As timm calls it, with the tag of its weights or without, or a directory that timm saved: config.json with
            model.safetensors.
        weights: See :func:`hetero.models.published.network.published_network`.

    Raises:
        InputError: See there.
        IntegrityError: See there.
    """
    full, directory = TIMM + name, Path(name)
    is_saved = (directory / CONFIG).is_file()
    timm = timm_with(full, "" if is_saved else name)
    *_, file = timm_files(name, weights)
    stated = _saved(directory / CONFIG) if is_saved else _listed(timm, name)
    network = _loaded(timm, f"local-dir:{name}" if is_saved else name, file, stated)
    config: dict[str, Any] = network.pretrained_cfg

    def resize(height: int, width: int) -> None:
        set_size = getattr(network, "set_input_size", None)
        if not config.get("fixed_input_size") or (height, width) == tuple(config["input_size"][1:]):
            return
        if set_size is None:
            own = " x ".join(map(str, config["input_size"][1:]))
            raise InputError(f"{full} takes images of {own} alone, the preprocessing says {height} x {width}")
        set_size(img_size=(height, width))

    return PublishedNetwork(network.eval(), _output(network), timm_preparation(config), resize)


def timm_files(name: str, weights: Path | None) -> list[Path]:
    """Return the files that decide a network of timm, its weights last; see :func:`timm_network`."""
    directory = Path(name)
    if (directory / CONFIG).is_file():
        return [directory / CONFIG, require_safetensors(weights or directory / FILE)]
    if weights:
        return [require_safetensors(weights)]
    config = _listed(timm_with(TIMM + name, name), name)
    repository, file = str(config.get("hf_hub_id") or ""), str(config.get("hf_hub_filename") or FILE)
    return [cached_weights(TIMM + name, repository, file, otherwise=FILE)]


def _listed(timm: Any, name: str) -> dict[str, Any]:
    return timm.get_pretrained_cfg(name).to_dict()


def _output(network: Any) -> str:
    pooling = getattr(network, "global_pool", "")
    pooling = str(getattr(pooling, "pool_type", pooling) or "avg")
    name = {"token": "class token", "avg": "pooled features"}.get(pooling, f"features pooled by {pooling}")
    return f"{name} (forward_head, pre_logits=True)"


def timm_preparation(config: Mapping[str, Any]) -> Preparation:
    """Return what timm's ``resolve_data_config`` and ``create_transform`` make of a network's ``pretrained_cfg``.

    They are written anew here since timm's data loading, which they belong to, needs torchvision.
    """
    _, height, width = config["input_size"]
    share = config.get("crop_pct") or _CROP_SHARE
    mode = config.get("crop_mode") or "center"
    mean, std = (tuple(config.get(key) or _IMAGENET[key]) for key in ("mean", "std"))
    full = math.floor(height / share), math.floor(width / share)
    common: dict[str, Any] = {
        "size": (height, width),
        "mean": mean,
        "std": std,
        "filter": config.get("interpolation") or "bicubic",
    }
    if mode == "squash" and full == (height, width):
        return Preparation(**common)
    if mode == "border":
        return Preparation(**common, resize="pad", **_border(share, mean))
    obstacles = [NOT_SQUARE] if full[0] != full[1] else []
    if share > 1:
        obstacles.append(f"it resizes photos to {full[0]} x {full[1]} and pads them with black to {height} x {width}")
    resize = "squash" if mode == "squash" else "crop"
    return Preparation(**common, resize=resize, cut_from=full[0], obstacles=tuple(obstacles))


def _border(share: float, mean: tuple[float, ...]) -> dict[str, Any]:
    obstacles: list[str] = []
    if share != 1:
        obstacles.append(f"it resizes the longer side to 1/{share:g} of the input and cuts the centre out")
    levels = {round(255 * value) for value in mean}
    if len(levels) > 1:
        obstacles.append(f"it pads with the colour {[round(255 * value) for value in mean]}, and hetero with a grey")
    return {"pad_value": min(levels), "obstacles": tuple(obstacles)}


def _saved(file: Path) -> dict[str, Any]:
    """Return what a directory says of its weights.

    Raises:
        IntegrityError: When the file is damaged.
    """
    stated: Any = strict_json(file.read_bytes(), what=str(file))
    if not isinstance(stated, dict) or "architecture" not in stated:
        raise IntegrityError(f"{file}: expected a network of timm with its architecture, found none")
    table = cast("dict[str, Any]", stated)
    return table.get("pretrained_cfg") or table


def _loaded(timm: Any, called: str, file: Path, config: Mapping[str, Any]) -> Any:
    """Make a network with all weights of a file, then take its classifier away.

    timm passes over missing and foreign weights when the number of classes is not the file's, so it gets that number.
    """
    problem = ""
    for classes in _numbers_of_classes(file, config):
        overlay = {"file": str(file), "source": "", "num_classes": classes, "label_offset": 0, "custom_load": False}
        try:
            with no_downloads():
                network = timm.create_model(
                    called, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes
                )
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            problem = problem or str(error)
            continue
        network.reset_classifier(0)
        return network
    raise InputError(f"{file} does not hold the weights of {TIMM}{called}: {problem}")


def _numbers_of_classes(file: Path, config: Mapping[str, Any]) -> list[int]:
    """Return how many classes the network of a file may have, likeliest first."""
    shapes = shapes_of(file)
    stated = config.get("classifier") or ()
    for layer in (stated,) if isinstance(stated, str) else tuple(stated):
        if shape := shapes.get(f"{layer}.weight"):
            return [shape[0]]
    # No classifier, or one that timm finds under an older name.
    return list(dict.fromkeys([0, int(config.get("num_classes") or 0)]))
