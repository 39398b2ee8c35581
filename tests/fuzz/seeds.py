"""Sound files to begin with, made by the code that writes them, and what lies beside them."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save

from export.bundle.signing import generate_key, sign
from hetero.adapters.ridge import Ridge
from hetero.adapters.storage import SpaceAdapter
from hetero.data.embeddings.file import save_embeddings
from hetero.gallery import storage
from tests.device_tests.test_identity import litert_with
from tests.device_tests.tiny_models import HEIGHT, WIDTH, weights, write_coreml, write_litert, write_onnx
from tests.export.bundles import SPACE, retrieval_set, units, write_bundle
from tests.export.bundles import goldens as bundle_goldens

PICTURE = np.random.default_rng(0).integers(0, 256, (1, HEIGHT, WIDTH, 3), dtype=np.uint8)
COREML_MODEL = "Data/com.apple.CoreML/model.mlmodel"
COREML_WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
NAMES = ("a.jpg", "b.jpg", "ü/c.jpg")
Seeds = Mapping[str, bytes]


def written(write: Callable[[Path], object], file: str = "file") -> bytes:
    """The bytes that a function writes to the path it is given, or below it."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name) / file.partition("/")[0])
        return (Path(name) / file).read_bytes()


def manifest() -> Seeds:
    return {"sound": written(write_bundle, "bundle/manifest.json")}


def signature() -> Seeds:
    def write(bundle: Path) -> None:
        bundle.mkdir()
        (bundle / "manifest.json").write_bytes(b"{}")
        generate_key(bundle / "key", bundle / "key.pub")
        sign(bundle, bundle / "key")

    return {"sound": written(write, "bundle/manifest.sig")}


def space() -> Seeds:
    earlier = {"space_id": "1" * 64, "metric": "cmc@1", "cross": 0.5, "earlier": 0.4}
    rich = {**SPACE.to_dict(), "compatible_with": [earlier], "mapped_from": "2" * 64}
    return {"sound": written(SPACE.save), "rich": json.dumps(rich).encode()}


def goldens() -> Seeds:
    return {"sound": written(bundle_goldens().save)}


def retrieval() -> Seeds:
    return {"sound": written(retrieval_set().save)}


def embeddings() -> Seeds:
    vectors = units(len(NAMES), 0)
    return {
        "sound": written(lambda path: save_embeddings(path, vectors, NAMES, SPACE), "e.safetensors"),
        "without names": save({"embeddings": vectors}),
        "half": save({"embeddings": vectors.astype(np.float16)}),
        "brain float": _safetensors(embeddings=("BF16", vectors.view(np.uint16)[:, 1::2])),
    }


def npy() -> Seeds:
    def saved(array: np.ndarray) -> bytes:
        return written(lambda path: np.save(path, array), "e.npy")

    vectors = units(len(NAMES), 0)
    archive = io.BytesIO()
    np.savez(archive, left=vectors)
    return {
        "sound": saved(vectors),
        "in columns": saved(np.asfortranarray(vectors)),
        "double": saved(vectors.astype(np.float64)),
        "archive": archive.getvalue(),
    }


def gallery() -> Seeds:
    names = "".join(NAMES).encode()
    ends = np.cumsum([len(name.encode()) for name in NAMES])
    return {
        "sound": written(_write_gallery, f"gallery/{storage.VECTORS}"),
        "brain float": _safetensors(
            embeddings=("BF16", units(len(NAMES), 0).view(np.uint16)[:, 1::2]),
            names=("U8", np.frombuffer(names, np.uint8)),
            name_ends=("I64", ends),
        ),
    }


def adapter() -> Seeds:
    matrix, offset = np.eye(SPACE.dimension, dtype=np.uint16), np.zeros(SPACE.dimension, np.uint16)
    return {
        "sound": written(_write_adapter, "adapter/adapter.safetensors"),
        "brain float": _safetensors(matrix=("BF16", matrix), offset=("BF16", offset)),
    }


def prototypes() -> Seeds:
    return {"sound": save({"prototypes": units(3, 0)}, metadata={"classes": json.dumps(["x", "y", "z"])})}


def csv() -> Seeds:
    boxes = "label,split,path,is_query,is_gallery,x_1,y_1,x_2,y_2,view\n"
    return {
        "sound": b"label,split,path\nx,train,a.png\ny,val,b.png\n",
        "without labels": b"path,split\na.png,unlabelled\n",
        "with boxes": f'{boxes}x,test,a.png,1,0,0,0,4,4,top\n"y,z",train,b.png,,,nan,,,,\n'.encode(),
    }


def recipe() -> Seeds:
    return _package_files("hetero.pipeline.recipes")


def comparison() -> Seeds:
    return _package_files("hetero.compare.methods")


def search_space() -> Seeds:
    return _package_files("hetero.nas.spaces")


def policy() -> Seeds:
    excuse = '{rung = "cost", reason = "r", expires = 2030-01-01, target = "desktop"}'
    whole = f'trusted_keys = ["{"0" * 64}"]\nexceptions = [{excuse}]\n[gates]\nnorm = 0.1\n[targets.desktop]\n'
    return {"whole": whole.encode(), **_package_files("device_tests.verdict.policies")}


def onnx() -> Seeds:
    return {"sound": written(lambda path: write_onnx(path, weights(), SPACE.space_id))}


def litert() -> Seeds:
    described = json.dumps({"hetero.space_id": SPACE.space_id}).encode()
    return {
        "sound": written(lambda path: write_litert(path, weights())),
        "with a space": written(lambda path: litert_with(described, path)),
    }


def coreml(file: str) -> Seeds:
    return {"sound": written(lambda path: write_coreml(path, weights()), f"m.mlpackage/{file}")}


def pictures() -> Seeds:
    def encoded(kind: str, mode: str = "RGB") -> bytes:
        stream = io.BytesIO()
        Image.fromarray(PICTURE[0]).convert(mode).save(stream, kind)
        return stream.getvalue()

    kinds = ("jpeg", "png", "gif", "bmp", "tiff", "webp", "ppm")
    grey = {"deep": encoded("png", "I;16"), "palette": encoded("png", "P"), "with alpha": encoded("png", "RGBA")}
    return {kind: encoded(kind) for kind in kinds} | grey


def shards() -> Seeds:
    """Tar shards of samples, in the forms that tar has."""
    sample = {"1.png": pictures()["png"], "1.cls": b"7", f"{'n' * 120}/2.jpg": pictures()["jpeg"]}
    sample[f"{'n' * 120}/2.json"] = b'{"label": "cat", "split": "train"}'

    def archived(form: int) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
            for name, data in sample.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return stream.getvalue()

    return {"gnu": archived(tarfile.GNU_FORMAT), "pax": archived(tarfile.PAX_FORMAT)}


def write_names(folder: Path) -> None:
    (folder / "e.txt").write_text("\n".join(NAMES), encoding="utf-8")


def write_npy(folder: Path) -> None:
    np.save(folder / "names.npy", units(len(NAMES), 0))


def write_gallery(folder: Path) -> None:
    """A gallery whose files lie in the folder itself."""
    _write_gallery(folder)


def write_adapter(folder: Path) -> None:
    _write_adapter(folder)


def write_pictures(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(PICTURE[0]).save(folder / name)


def write_coreml_package(folder: Path) -> None:
    write_coreml(folder / "m.mlpackage", weights())


def _write_gallery(directory: Path) -> None:
    storage.write(directory, SPACE, units(len(NAMES), 0), NAMES)


def _write_adapter(directory: Path) -> None:
    vectors = units(8, 0), units(8, 1)
    SpaceAdapter(Ridge.fit(*vectors), SPACE, SPACE).save(directory)


def _safetensors(**tensors: tuple[str, np.ndarray]) -> bytes:
    """A file with tensors of any type, numpy's or not, by the type's name."""
    header, data = {}, b""
    for name, (kind, array) in tensors.items():
        content = array.tobytes()
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _package_files(package: str) -> Seeds:
    return {file.name: file.read_bytes() for file in resources.files(package).iterdir() if file.name.endswith(".toml")}
