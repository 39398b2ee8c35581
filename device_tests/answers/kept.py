"""A cache of targets' answers: verifying the same files again takes seconds.

Only the runtime's answer is kept, never a verdict: every check runs anew, under the current gates. Failures, and
answers that this machine left incomplete, are not kept, so that they are asked again. Entries that are damaged, or
that another installation wrote, are ignored.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import device_tests
from device_tests.answers.golden_files import golden_files
from device_tests.answers.original_rows import original_rows
from device_tests.answers.sealed import load_sealed, save_sealed
from device_tests.targets.target import Returned, Target
from export.app_code.code import JAVASCRIPT
from export.bundle.manifest import GOLDENS, GRAPH, PREPROCESS, ModelEntry
from export.bundle.reading import Bundle
from export.kinds.registry import engine_place
from hetero.files import cache_directory, canonical_json, digest, sha256_file

_FORMAT = 4
_MOST = 2000
_ARRAYS = ("embeddings", "latency_seconds", "pixels", "pixel_embeddings", "near", "exact")
_ALSO = "also."


def key(bundle: Bundle, entry: ModelEntry, target: Target) -> str:
    """Return a digest of everything that decides an answer: the files, the target with its versions, the runner."""
    files = {file.path: file.sha256 for file in bundle.manifest.files}
    originals = [bundle.originals[row].relative_to(bundle.path).as_posix() for row in original_rows(bundle)]
    return digest(
        [
            _FORMAT,
            _code(),
            target.name,
            dict(target.describe()),
            target.runtimes[entry.format],
            _own_code(target.runtimes[entry.format]),
            entry.precision,
            entry.sha256,
            [files[name] for name in (GOLDENS, PREPROCESS, *originals)],
            bundle.manifest.gallery and [bundle.manifest.gallery.effort, files[GRAPH]],
            [file.path.name for file in golden_files(bundle)],
            bundle.goldens.query_rows.tolist(),
        ]
    )


def save(name: str, returned: Returned) -> None:
    """Store an answer, unless it is a failure."""
    from safetensors.numpy import save as to_bytes

    if returned.embeddings is None or returned.incomplete or returned.gallery_error:
        return
    arrays: dict[str, Any] = {field: getattr(returned, field) for field in _ARRAYS}
    arrays |= {_ALSO + setting: value for setting, value in returned.also.items()}
    present = {field: np.ascontiguousarray(value) for field, value in arrays.items() if value is not None}
    words = {field: value for field, value in vars(returned).items() if field not in (*_ARRAYS, "also")}
    save_sealed(_file(name), to_bytes(present, metadata={"returned": canonical_json(words)}))
    _forget_oldest()


def load(name: str) -> Returned | None:
    """Return the answer of :func:`save`; None if there is none of this installation."""
    from safetensors.numpy import load as from_bytes

    data = load_sealed(_file(name))
    if data is None:
        return None
    stored = from_bytes(data)
    words = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["returned"])
    also = {field.removeprefix(_ALSO): value for field, value in stored.items() if field.startswith(_ALSO)}
    words["decode_errors"] = tuple(words["decode_errors"])
    words["tensors"] = tuple(map(tuple, words["tensors"]))
    return Returned(**{field: value for field, value in stored.items() if field in _ARRAYS}, also=also, **words)


@cache
def _code() -> list[str]:
    """Return digests of the project's code that runs on a target, or asks one."""
    package = Path(device_tests.__file__).parent
    folders = [package / "runner", package / "targets", package / "runtimes", JAVASCRIPT]
    inside = [path for folder in folders for path in folder.rglob("*")]
    return [sha256_file(path) for path in sorted(inside) if path.suffix in (".py", ".mjs", ".html")]


def _own_code(engine: str) -> str:
    """Return the digest of the module of an engine that does not travel; it may be third-party code."""
    module = engine_place(engine).partition(":")[0]
    origin = getattr(find_spec(module), "origin", None) if module else None
    return sha256_file(Path(origin)) if origin and Path(origin).is_file() else ""


def _folder() -> Path:
    return cache_directory() / "returned"


def _file(name: str) -> Path:
    return _folder() / f"{name}.kept"


def _forget_oldest() -> None:
    earlier = _folder().glob("*.safetensors")  # answers without a seal, which are no longer read
    files = sorted([*_folder().glob("*.kept"), *earlier], key=lambda path: path.stat().st_mtime)
    for path in files[:-_MOST]:
        path.unlink(missing_ok=True)
