"""The preparation that an image processor of transformers states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hetero.models.published.preparation import NOT_SQUARE, Preparation
from hetero.named import named

FILE = "preprocessor_config.json"
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_STEPS = ("resize", "center_crop", "rescale", "normalize", "_preprocess", "process_image")
_FIRST_WARPED = 384
"""ConvNeXt's processor crops below this side, and squashes from it on."""
_BLACK_TO_WHITE = 1 / 255


def hf_preparation(library: Any, directory: Path) -> Preparation:
    """Return what the image processor of a directory makes of a picture, with Pillow and not torchvision.

    Args:
        library: The package transformers.
        directory: As ``save_pretrained`` writes it.
    """
    if not (directory / FILE).is_file():
        return _unknown(f"expected {FILE} in {directory}, which says how images are prepared, found none")
    try:
        processor: Any = library.AutoImageProcessor.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except Exception as error:  # transformers raises exceptions of many kinds, without a common base
        return _unknown(f"transformers cannot make its image processor: {' '.join(str(error).split())[:300]}")
    return stated_by(processor)


def stated_by(processor: Any) -> Preparation:
    """Return the preparation of an image processor that works with Pillow."""
    kind = type(processor)
    plain: Any = named("transformers.image_processing_backends:PilBackend")
    is_convnext = kind.__name__ == "ConvNextImageProcessorPil"
    own = [step for step in _STEPS if getattr(kind, step, None) is not getattr(plain, step)]
    if own and not is_convnext:
        return _unknown(f"its image processor {kind.__name__} has steps of its own: {', '.join(own)}")
    if not processor.do_resize:
        return _unknown("its image processor takes photos in their own sizes, and hetero resizes them to one")
    sized = _convnext(processor) if is_convnext else _sized(processor)
    obstacles = [*sized.pop("obstacles", ()), *_scaling_obstacles(processor)]
    normalises = bool(processor.do_normalize)
    return Preparation(
        mean=_triple(processor.image_mean) if normalises else (0.0, 0.0, 0.0),
        std=_triple(processor.image_std) if normalises else (1.0, 1.0, 1.0),
        filter=_FILTERS.get(int(processor.resample), str(processor.resample)),
        cut_rounds="down" if "cut_from" in sized else "even",
        obstacles=tuple(obstacles),
        **sized,
    )


def _sized(processor: Any) -> dict[str, Any]:
    """Return size and manner of resizing of a processor with the usual steps."""
    size, cut = processor.size, processor.crop_size if processor.do_center_crop else None
    target = (cut.height, cut.width) if cut else (size.height, size.width)
    if size.height and size.width:
        if target == (size.height, size.width):
            return {"size": target}
        obstacles = [] if size.height == size.width else [NOT_SQUARE]
        return {"size": target, "cut_from": size.height, "obstacles": obstacles}
    if size.shortest_edge and not size.longest_edge:
        if cut:
            return {"size": target, "resize": "crop", "cut_from": size.shortest_edge}
        return {"size": (0, 0), "obstacles": ["it keeps the shape of each photo, and hetero gives all one"]}
    return {"size": (0, 0), "obstacles": [f"its size is no height and width and no shorter side: {dict(size)}"]}


def _convnext(processor: Any) -> dict[str, Any]:
    side = processor.size.shortest_edge or 0
    size = {"size": (side, side)}
    if processor.do_center_crop:
        return size | {"obstacles": ["it cuts twice"]}
    if side >= _FIRST_WARPED:
        return size
    return size | {"resize": "crop", "cut_from": int(side / processor.crop_pct)}


def _scaling_obstacles(processor: Any) -> list[str]:
    obstacles: list[str] = []
    if not processor.do_rescale or not math.isclose(processor.rescale_factor, _BLACK_TO_WHITE, rel_tol=1e-6):
        obstacles.append("it does not scale pixel values to 0..1")
    if processor.do_pad:
        obstacles.append("it pads images to a size beyond that of the resized photo")
    return obstacles


def _triple(values: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(values) if isinstance(values, Sequence) else (values, values, values)


def _unknown(reason: str) -> Preparation:
    return Preparation((0, 0), (), (), "bilinear", obstacles=(reason,))
