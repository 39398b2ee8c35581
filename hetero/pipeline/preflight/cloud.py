"""The file, directory or code that a recipe's model is made from, looked at before it is loaded."""

from __future__ import annotations

from pathlib import Path

from hetero.errors import InputError
from hetero.mistakes import attempt
from hetero.models.families import BY_NAME
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, MODEL, ONNX, SHARDS
from hetero.recognition.recognise import refuse_others
from hetero.text.config import TextConfig
from hetero.text.table import described, texts_of
from hetero.text.vectors import TextVectors
from hetero.training.config import CloudConfig


def source_problems(cloud: CloudConfig) -> list[str]:
    """Return the problems of a cloud model's source, as far as they are quick to find."""
    problems: list[str] = []
    for key, kinds in (("embeddings", (EMBEDDINGS, ARRAY, SHARDS)), ("onnx", (ONNX,))):
        path = getattr(cloud, key)
        if path and not Path(path).is_file() and not (SHARDS in kinds and Path(path).is_dir()):
            problems.append(f"cloud.{key}: expected a file at {path}, found none")
        elif path:
            attempt(problems, f"cloud.{key}", lambda path=path, kinds=kinds: refuse_others(Path(path), *kinds))
    if cloud.program and not Path(cloud.program).is_file():
        problems.append(f"cloud.program: expected a file at {cloud.program}, found none")
    if cloud.backbone.startswith(BY_NAME):
        # Late: its library may be asked where its weights are.
        from hetero.models.published.network import network_files

        weights = Path(cloud.weights) if cloud.weights else None
        attempt(problems, "cloud.backbone", lambda: network_files(cloud.backbone, weights))
    if text := cloud.text:
        attempt(problems, "cloud.text", lambda: _look_at(text))
    if cloud.directory:
        attempt(problems, "cloud.directory", lambda: require_model(Path(cloud.directory)))
    if cloud.module:
        # Late: it takes torch.
        from hetero.models.external.own import own_module

        attempt(problems, "cloud.module", lambda: own_module(cloud.module, what="cloud model"))
    return problems


def _look_at(text: TextConfig) -> None:
    if not text.fit:
        TextVectors.load(text, None)
    elif text.describes:
        described(Path(text.describes), texts_of(Path(text.describes)))


def require_model(directory: Path) -> None:
    """Refuse a path that is no model directory.

    Raises:
        InputError: With what it is instead, where that shows.
    """
    refuse_others(directory, MODEL)
    if not (directory / "config.json").is_file():
        raise InputError(f"expected a model directory at {directory}, found no config.json in it")
