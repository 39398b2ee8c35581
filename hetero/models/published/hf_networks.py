"""Networks of the package transformers, from a directory as it saves one, or from the hub's cache."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.models.backbones.packages import package
from hetero.models.families import HF
from hetero.models.published.hf_preparation import hf_preparation
from hetero.models.published.hub import cached_file, no_downloads
from hetero.models.published.network import PublishedNetwork
from hetero.models.published.preparation import Preparation
from hetero.models.published.weights import shown

CONFIG = "config.json"
_PROJECTED = "WithProjection"
_SIDE = 224


class ImageModel(nn.Module):
    """A network of transformers that answers with one vector an image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the vectors of normalised images."""
        return self.named_vectors(pixels)[1]

    def named_vectors(self, pixels: Tensor) -> tuple[str, Tensor]:
        """Return what the vectors of normalised images are, in words, and the vectors.

        Raises:
            InputError: When the network answers without one vector an image.
        """
        model: Any = self.model
        if hasattr(model, "get_image_features"):
            answer = model.get_image_features(pixel_values=pixels)
            vectors = answer if isinstance(answer, Tensor) else answer.pooler_output
            return "projected vectors (get_image_features)", vectors
        answer = model(pixel_values=pixels)
        if isinstance(vectors := getattr(answer, "image_embeds", None), Tensor):
            return "projected vectors (image_embeds)", vectors
        if isinstance(vectors := getattr(answer, "pooler_output", None), Tensor):
            return "pooled vectors (pooler_output)", vectors.flatten(1)
        if any(name.endswith("cls_token") for name, _ in model.named_parameters()):
            return "class token (last_hidden_state[:, 0])", answer.last_hidden_state[:, 0]
        raise InputError(
            f"{type(model).__name__} gives neither a projected or pooled vector nor a class token: wrap it in a module "
            "of your own that does, and give that (module:attribute, with --allow-code)"
        )


def hf_network(name: str, weights: Path | None) -> PublishedNetwork:
    """Load a network of transformers: its projected vectors where it has some, else its pooled ones or class token.

    Args:
        name: A directory as ``save_pretrained`` writes it, or a repository of the hub that its cache holds.
        weights: None: a directory holds its own.

    Raises:
        InputError: See :func:`hetero.models.published.network.published_network`.
    """
    full = HF + name
    directory = hf_files(name, weights)[0].parent
    library = package("transformers", full, extra="hf")
    with no_downloads(), _silenced(library):
        model = _loaded(library, full, directory)
        preparation = hf_preparation(library, directory)
    if hasattr(model, "get_image_features") and hasattr(model, "text_model"):
        del model.text_model
    network = ImageModel(model).eval()
    return PublishedNetwork(network, _output(network, preparation, full), preparation)


def hf_files(name: str, weights: Path | None) -> list[Path]:
    """Return the files that decide a network of transformers; see :func:`hf_network`."""
    if weights is not None:
        raise InputError(f"{HF}{name}: a directory holds its own weights; leave {weights} out")
    directory = _directory(name)
    others = [file for kind in ("*.json", "*.safetensors") for file in sorted(directory.glob(kind))]
    return [directory / CONFIG, *(file for file in others if file.name != CONFIG)]


def _directory(name: str) -> Path:
    """Return the directory of a network, or the one in the hub's cache.

    Raises:
        InputError: When there is neither.
    """
    directory = Path(name)
    if directory.is_dir():
        if not (directory / CONFIG).is_file():
            raise InputError(f"{HF}{name}: expected {CONFIG} in it, as save_pretrained writes it, found none")
        return directory
    cached = cached_file(name, CONFIG)
    if cached is None:
        raise InputError(
            f"{HF}{name}: expected a directory with {CONFIG}, preprocessor_config.json and model.safetensors, as "
            "save_pretrained writes them, found none, and hetero fetches nothing. Where there is a network, fetch it "
            f"into the hub's cache, where it is found: hf download {name}"
        )
    return cached.parent


def _loaded(library: Any, name: str, directory: Path) -> Any:
    """Load the network with all its weights."""
    stated: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
        "output_loading_info": True,
        "dtype": torch.float32,
    }
    try:
        config = library.AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        kind = _class(library, config)
        model, info = kind.from_pretrained(directory, config=config, **stated)
        missing = set(info["missing_keys"])
        if missing and all(key.split(".")[0] == "pooler" for key in missing):
            # Weights of a classifier: it has no pooler, and a pooler with random weights would be worth nothing.
            model, info = kind.from_pretrained(directory, config=config, add_pooling_layer=False, **stated)
            missing = set(info["missing_keys"])
    except Exception as error:  # transformers raises exceptions of many kinds, without a common base
        reason = " ".join(str(error).split())[:400]
        raise InputError(
            f"{name}: transformers cannot load it from {directory}, of files that lie there, safetensors alone and "
            f"without code of its own: {reason}"
        ) from None
    if unfit := missing | {str(key) for key in info["mismatched_keys"]}:
        raise InputError(f"{name}: {directory} does not hold all weights of the network, for instance {shown(unfit)}")
    return model


def _class(library: Any, config: Any) -> Any:
    """Return the class of the network: the one with a projection where the weights are saved of that."""
    stated = str((config.architectures or [""])[0])
    return getattr(library, stated) if stated.endswith(_PROJECTED) and stated.isidentifier() else library.AutoModel


def _output(network: ImageModel, preparation: Preparation, name: str) -> str:
    config: Any = network.model.config
    config = getattr(config, "vision_config", config)
    side = getattr(config, "image_size", _SIDE)
    height, width = preparation.size if all(preparation.size) else (side, side)
    try:
        with torch.no_grad():
            return network.named_vectors(torch.zeros(1, 3, height, width))[0]
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(f"{name}: it does not take images of {height} x {width} alone: {error}") from None


@contextmanager
def _silenced(library: Any) -> Generator[None]:
    """Silence transformers' warnings and progress bars in the block; what matters of them is checked."""
    logging: Any = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
