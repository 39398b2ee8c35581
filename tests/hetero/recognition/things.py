"""A small thing of every kind that a command may be handed; only as whole as a cheap look needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from hetero.recognition import kinds
from hetero.recognition.kinds import Kind
from tests.hetero.data.pictures import write_flat, write_picture

THINGS: Mapping[str, Kind] = {
    "model": kinds.MODEL,
    "model/model.safetensors": kinds.WEIGHTS,
    "adapted": kinds.ADAPTED,
    "supernet": kinds.SUPERNET,
    "bundle": kinds.BUNDLE,
    "signed": kinds.SIGNED_BUNDLE,
    "bundle/manifest.json": kinds.MANIFEST,
    "bundle/model.fp32.mlpackage": kinds.CORE_ML,
    "gallery": kinds.GALLERY,
    "store": kinds.GALLERY_STORE,
    "adapter": kinds.ADAPTER,
    "compact": kinds.COMPACTION,
    "run": kinds.RUN,
    "results": kinds.VERIFICATION,
    "results/summary.json": kinds.SUMMARY,
    "results/verdict.json": kinds.VERDICT,
    "stage": kinds.CLOUD_STAGE,
    "index": kinds.INDEX,
    "vectors": kinds.SHARDS,
    "photos": kinds.PHOTOS,
    "photo.jpg": kinds.IMAGE,
    "embeddings.safetensors": kinds.EMBEDDINGS,
    "embeddings.npy": kinds.ARRAY,
    "retrieval.safetensors": kinds.RETRIEVAL,
    "calibration.safetensors": kinds.CALIBRATION,
    "bundle/goldens.safetensors": kinds.GOLDENS,
    "cloud.onnx": kinds.ONNX,
    "model.tflite": kinds.LITERT,
    "model.pt": kinds.PICKLE,
    "key.pem": kinds.PRIVATE_KEY,
    "key.pub.pem": kinds.PUBLIC_KEY,
    "verdict.intoto.jsonl": kinds.ATTESTATION,
    "decisions.json": kinds.DECISIONS,
    "matrix.json": kinds.MATRIX,
    "latency.json": kinds.LATENCY,
    "preprocess.json": kinds.PREPROCESSING,
    "space.json": kinds.SPACE,
    "report.html": kinds.REPORT,
    "recipe.toml": kinds.RECIPE,
    "gates.toml": kinds.POLICY,
    "space.toml": kinds.TOML,
    "labels.csv": kinds.TABLE,
}
_TEXTS: Mapping[str, object] = {
    "model/config.json": {"schema": "hetero/model/1"},
    "adapted/config.json": {"schema": "hetero/model/1"},
    "adapted/learnt.json": {"schema": "hetero/learnt/1"},
    "supernet/supernet.json": {"schema": "hetero/supernet/1"},
    "bundle/manifest.json": {"schema": "hetero/bundle/1"},
    "signed/manifest.json": {"schema": "hetero/bundle/1"},
    "signed/manifest.sig": {},
    "gallery/gallery.json": {"schema": "hetero/gallery/1"},
    "adapter/adapter.json": {"schema": "hetero/adapter/1"},
    "compact/compact.json": {"schema": "hetero/compact/1"},
    "index/index.json": {"schema": "hetero/index/1"},
    "run/data/stage.json": {},
    "run/cloud/stage.json": {},
    "run/cloud/config.json": {"schema": "hetero/model/1"},
    "run/students/edge/config.json": {"schema": "hetero/model/1"},
    "vectors/embeddings.json": {"schema": "hetero/embedding-shards/1"},
    "results/summary.json": {"schema": "hetero/verification/2"},
    "results/verdict.json": [{"rung": "loads", "status": "pass"}],
    "verdict.intoto.jsonl": {"payload": "", "payloadType": "application/vnd.in-toto+json"},
    "decisions.json": {"schema": "hetero/decisions/1"},
    "matrix.json": {"schema": "hetero/matrix/1"},
    "latency.json": {"schema": "hetero/latency-table/2"},
    "preprocess.json": {"antialias": True, "pad_value": 255},
    "space.json": {"schema": "hetero/space/1"},
}
_BYTES: Mapping[str, bytes] = {
    "cloud.onnx": b"\x08\x09\x12\x07pytorch",
    "model.tflite": b"\x1c\0\0\0TFL3",
    "model.pt": b"PK\3\4" + b"\0" * 26 + b"archive/data.pkl\x80\2",
    "key.pem": b"-----BEGIN PRIVATE KEY-----\n",
    "key.pub.pem": b"-----BEGIN PUBLIC KEY-----\n",
    "report.html": b"<!DOCTYPE html>\n",
    "recipe.toml": b'name = "a"\npreprocessing = { height = 8, width = 8 }\n',
    "gates.toml": b"[gates]\nfloor = 0.5\n",
    "space.toml": b"stem_channels = 8\n",
    "labels.csv": b"path,label\n",
    "bundle/model.fp32.mlpackage/Manifest.json": b"{}",
    "store/items.sqlite": b"SQLite format 3\0",
}


def write_things(place: Path) -> None:
    """Write every thing below a folder."""
    for name, value in _TEXTS.items():
        _at(place / name).write_text(json.dumps(value, indent=2))
    for name, content in _BYTES.items():
        _at(place / name).write_bytes(content)
    write_flat(place / "photos", 20)
    write_picture(place / "photo.jpg")
    vectors = np.ones((2, 3), np.float32)
    np.save(place / "embeddings.npy", vectors)
    save_file({"embeddings": vectors}, _at(place / "stage" / "embeddings.safetensors"))
    save_file({"weight": vectors}, place / "model" / "model.safetensors")
    save_file({"golden_images": vectors}, place / "bundle" / "goldens.safetensors")
    about = {"names": ["a", "b"], "schema": "hetero/embeddings/1", "space": {}}
    save_file({"embeddings": vectors}, place / "embeddings.safetensors", metadata={"hetero": _canonical(about)})
    for name, task in (("retrieval", "leave-one-out"), ("calibration", "calibration 0")):
        about = {"names": [], "schema": "hetero/retrieval/1", "tasks": [{"exclude_self": True, "name": task}]}
        save_file({"images": vectors}, place / f"{name}.safetensors", metadata={"hetero": _canonical(about)})


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
