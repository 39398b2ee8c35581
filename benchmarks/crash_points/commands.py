"""The commands that are killed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.crash_points.case import AGAIN, Action, Case, Place
from benchmarks.crash_points.processes import stand_ins
from benchmarks.crash_points.set_up import stages
from benchmarks.crash_points.stores import rows_of, store_at_hand

_RUN = ("out/data", "out/cloud", "out/students/*", "out/supernet", "out/search", "out/evaluation", "out/bundles/*",
        "out/verification", "out/report")  # fmt: skip
_COMPARED = ("out/seed-*/cloud", "out/seed-*/students/*", "out/seed-*/embeddings/*")
_CACHE = ("cache/decoded/*", "cache/copies/*")
_KEPT_CACHE = ("cache/decoded/*/*", "cache/copies/*/*")


def _database(path: Path) -> bytes:
    """The rows of the index of contents: pages of a database lie in any order."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return repr(connection.execute("SELECT * FROM contents ORDER BY path").fetchall()).encode()
    except sqlite3.Error as error:
        return str(error).encode()


def _nothing(_: Path) -> bytes:
    """What commands say, with times."""
    return b""


def _without(*keys: str) -> Callable[[Path], bytes]:
    """A JSON file, or lines of JSON, without what some keys hold: times."""

    def counted(path: Path) -> bytes:
        text = path.read_text(encoding="utf-8")
        values = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        return json.dumps(_stripped(values, keys)).encode()

    return counted


def _stripped(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(each, keys) for key, each in value.items() if key not in keys}
    return [_stripped(each, keys) for each in value] if isinstance(value, list) else value


def _command(*arguments: str) -> Action:
    """A command line; ``{out}`` and ``{given}`` stand for the place's folders."""

    def act(place: Place) -> None:
        from hetero.cli.main import main

        with stand_ins():
            main([one.format(out=place.out, given=place.given) for one in arguments])

    return act


def _gallery(size: int) -> Action:
    """A program that saves a gallery."""

    def act(place: Place) -> None:
        from hetero import Gallery, load_embeddings

        held = load_embeddings(place.given / "vectors-0.safetensors")
        gallery = Gallery(held.space)
        gallery.add(held.embeddings[:size], list(held.names[:size]), held.space)
        gallery.save(place.out / "gallery")

    return act


def _adapter(seed: int) -> Action:
    """A program that saves an adapter from the space of one model to that of the other."""

    def act(place: Place) -> None:
        import numpy as np

        from hetero import SpaceAdapter, load_embeddings
        from hetero.adapters.procrustes import Procrustes

        old, new = (load_embeddings(place.given / f"vectors-{one}.safetensors").space for one in (0, 1))
        turned = np.eye(old.dimension, dtype=np.float32) * np.float32(1 - 2 * seed)
        SpaceAdapter(Procrustes(turned), old, new).save(place.out / "adapter")

    return act


def _model(seed: int) -> Action:
    """A program that saves a model."""

    def act(place: Place) -> None:
        from hetero import load_model, save_model

        place.out.mkdir(exist_ok=True)
        save_model(place.out / "model", load_model(place.given / f"models-{seed}" / "cloud"), {"seed": seed})

    return act


def _both(name: str, arguments: Callable[[int], Action], **rest: Any) -> list[Case]:
    """A command in empty folders, and where its earlier result of other inputs stands."""
    return [Case(name, arguments(1), **rest), Case(f"{name}{AGAIN}", arguments(1), before=arguments(0), **rest)]


def _run(seed: int) -> Action:
    return _command("run", f"{{given}}/run-{seed}.toml", "--out", "{out}", "--until", "evaluate", "--jobs", "1")


def _search(seed: int) -> Action:
    return _command("search", f"{{given}}/search-{seed}.toml", "--out", "{out}")


def _compare(seed: int) -> Action:
    return _command("compare", f"{{given}}/compare-{seed}.toml", "--out", "{out}")


def _embed(seed: int) -> Action:
    return _command("embed", f"{{given}}/models-{seed}/cloud", "{given}/photos", "{out}/photos.safetensors")


def _export(seed: int) -> Action:
    files = f"{{given}}/models-{seed}/students/edge", f"{{given}}/retrieval-{seed}.safetensors"
    return _command("export", *files, "{out}/bundle", "--formats", "onnx", "--goldens", "4")


def _backfill(seed: int) -> Action:
    old, new = (f"{{given}}/vectors-{one}.safetensors" for one in (0, 1))
    options = "--assume-compatible", "--steps", "2", "--random-orders", "1", "--seed", str(seed)
    return _command("backfill", "plan", old, new, new, "{out}", *options)


def _compact(source: str, dimensions: int, *more: str) -> Action:
    return _command("gallery", "compact", source, "--out", "{out}/small", "--dimensions", str(dimensions), *more)


def _compact_file(seed: int) -> Action:
    return _compact(f"{{given}}/vectors-{seed}.safetensors", 4, "--students", f"{{given}}/models-{seed}/students/edge")


def _compact_store(seed: int) -> Action:
    return _compact("usearch:{given}/gallery", 4 + seed)


def _data(seed: int) -> Action:
    return _command("run", f"{{given}}/run-{seed}.toml", "--out", "{out}", "--until", "data", "--jobs", "1")


def _verify(seed: int) -> Action:
    return _command("verify", f"{{given}}/bundle-{seed}", "--out", "{out}")


def _unsigned(place: Place) -> None:
    shutil.copytree(place.given / "bundle-0", place.out / "bundle")


def _set_up(version: int) -> Action:
    """``hetero device setup`` with stages that download nothing."""

    def act(place: Place) -> None:
        from device_tests.targets.emulated import setup as phone_setup
        from device_tests.targets.emulated.systems import SYSTEMS

        with mock.patch.multiple(phone_setup, **stages(version)):
            phone_setup.set_up(SYSTEMS["phone-arm64"])

    return act


_DIGESTS = ("cache/contents.sqlite3",)
_TRAINED: dict[str, Any] = {
    "whole": (*_RUN, *_CACHE),
    "growing": _DIGESTS,
    "kept": (*_RUN, *_KEPT_CACHE),
    "counted": {
        _DIGESTS[0]: _database,
        "out/*/log.jsonl": _without("images_per_second"),
        "out/students/*/log.jsonl": _without("images_per_second"),
    },
}

_PHONE = tuple(f"cache/phone-arm64/{name}" for name in ("packages", "sysroot", "trial"))
_JUDGED: dict[str, Any] = {
    "kept": ("cache/returned/*", "cache/golden-files/*", "cache/resizers/*", "config/hetero/kept.key"),
}

_MOVED = _command(
    *("backfill", "run", "usearch:{out}/gallery", "{given}/new.safetensors", "--batch-size", "16"),
    *("--queries", "{given}/new-queries.safetensors", "--before", "{given}/old-queries.safetensors"),
)

CASES = [
    *_both("run", _run, **_TRAINED),
    Case("data", _data(1), **_TRAINED),
    *_both("search", _search, **{**_TRAINED, "growing": (*_DIGESTS, "out/evaluations/*")}),
    *_both(
        "compare",
        _compare,
        whole=(*_COMPARED, *_CACHE),
        growing=(*_DIGESTS, "out/logs/*"),
        kept=(*_COMPARED, *_KEPT_CACHE),
        counted={
            _DIGESTS[0]: _database,
            "out/logs/*": _nothing,
            "out/seed-*/cloud/log.jsonl": _without("images_per_second"),
            "out/seed-*/students/*/log.jsonl": _without("images_per_second"),
        },
    ),
    *_both("verify", _verify, **_JUDGED, most=30),
    *_both("set-up", _set_up, whole=_PHONE, kept=_PHONE),
    Case(
        "bundle sign",
        _command("bundle", "sign", "{out}/bundle", "{given}/key.pem"),
        before=_unsigned,
        whole=("out/bundle",),
    ),
    *_both("embed", _embed, growing=_DIGESTS, counted={_DIGESTS[0]: _database}),
    *_both("export", _export, whole=("out/bundle",), most=30),
    *_both("gallery", lambda seed: _gallery(4 + seed), whole=("out/gallery",)),
    *_both("adapter", _adapter, whole=("out/adapter",)),
    Case("model", _model(1)),
    Case(f"model{AGAIN}", _model(1), before=_model(0), whole=("out/model",)),
    *_both("backfill", _backfill),
    Case(
        "backfill run",
        _MOVED,
        before=store_at_hand,
        whole=("out/gallery/index-*",),
        growing=("out/gallery/items.sqlite*",),
        # The old space's index may lag behind the rows, as after any kill: whoever opens it takes in the rest.
        counted={"out/gallery/items.sqlite": rows_of, "out/gallery/index-1/*": _nothing},
    ),
    *_both("compact", _compact_file, whole=("out/small",)),
    *_both("compact store", _compact_store, whole=("out/small",), counted={"out/small/gallery/items.sqlite": rows_of}),
]
