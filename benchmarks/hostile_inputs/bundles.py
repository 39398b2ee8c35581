"""Hostile bundles: damaged, rearranged, or rewritten so that their digests fit and the readers within see them.

Each goes through the commands ``hetero verify``, ``bundle check`` and ``bundle inspect``, called in this process. If it
passes, its model must still compute what the original one does, from pictures that the contract prepares as before, and
the pages must show the bundle's text as text.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import numpy as np

from benchmarks.hostile_inputs.changes import change_bytes, change_json, change_safetensors
from benchmarks.hostile_inputs.trial import Answer, Attempt
from device_tests.ladder import verify as verification
from device_tests.targets.desktop import Desktop
from device_tests.verdict.verdict import BAD_INPUT, GATE_FAILED, NOT_VERIFIED, PASSED
from export import Bundle, generate_key, read_bundle, sign
from export.bundle.manifest import MANIFEST, SIGNATURE, combined_digest
from hetero.cli.ending import FAULT
from hetero.cli.main import main
from hetero.data.decoding.decode import decode
from hetero.display.text import shown
from tests.device_tests.tiny_bundle import PREPROCESSING, list_files, write_bundle
from tests.device_tests.tiny_models import embed, weights

_ORIGINALS = 3
HARMLESS = 1 - 1e-4
"""Cosine of two embeddings of a picture that any gallery takes for one."""


@contextlib.contextmanager
def bundles(folder: Path) -> Generator[Attempt]:
    """Bundles of one ONNX file; what was signed by somebody who is trusted is verified with that key."""
    sound, key = folder / "sound", folder / "key"
    write_bundle(sound, formats=("onnx",))
    for original in sorted((sound / "originals").iterdir())[_ORIGINALS:]:
        original.unlink()
    list_files(sound)
    generate_key(key, folder / "key.pub")
    sign(sound, key)
    was = {path.name: decode(path, PREPROCESSING) for path in (sound / "originals").iterdir()}
    original = read_bundle(sound)
    desktop = _Open()

    def attempt(number: int) -> tuple[Answer, str]:
        chance = random.Random(number)
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(sound, copy)
        change = chance.choice((_damage, _rearrange, _rewrite, _rewrite, _relist, _relist))
        signed = change in (_damage, _rearrange) or chance.randrange(10) == 0
        if not signed:
            (copy / SIGNATURE).unlink()
        change(copy, chance)
        options = ("--key", str(folder / "key.pub")) if signed else ()
        status, said = _command("verify", str(copy), "--out", str(folder / "out"), *options)
        if not signed:
            said += _command("bundle", "check", str(copy))[1] + _command("bundle", "inspect", str(copy))[1]
        if shown(said) != said:
            return "wrong", f"{change.__name__}: shows {said!r}"
        if status not in (PASSED, GATE_FAILED, BAD_INPUT, NOT_VERIFIED):
            return "wrong", f"{change.__name__}: ended with {status}"
        if status != PASSED:
            return "refused", ""
        if bad := _active(folder / "out"):
            return "wrong", f"{change.__name__}: {bad}"
        if signed:
            return ("right", "") if _content(copy) == _content(sound) else ("wrong", f"{change.__name__}: trusted")
        return _judged(read_bundle(copy), original, was)

    with (
        mock.patch.object(verification, "target_called", lambda _name: desktop),
        # What other resizers would cost is told beside the verdict, and is no part of it.
        mock.patch.object(verification, "resizer_costs", lambda *_arguments, **_options: []),
    ):
        yield attempt
    desktop.end()


def _command(*arguments: str) -> tuple[int, str]:
    """What a command ends with, and what it prints."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main([*arguments])
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    # What stands before a carriage return is a bar's, and was seen for a moment only.
    said = out.getvalue() + errors.getvalue().rpartition("\r")[2]
    if status == FAULT:
        raise AssertionError(said)
    return status, said


def _active(out: Path) -> str:
    """What on the pages of a verification a browser would obey, or a parser not read."""
    ElementTree.parse(out / "junit.xml")
    summary, page = (out / "summary.md").read_text(), (out / "report.html").read_text()
    if "<img" in summary or "![" in summary or "<img src=x" in page:
        return "a page holds markup of the bundle's"
    return "a page holds characters that are not seen" if shown(summary + page) != summary + page else ""


class _Open(Desktop):
    """Runners that serve one verification after another."""

    def close(self) -> None:
        pass

    def end(self) -> None:
        super().close()


def _judged(read: Bundle, original: Bundle, was: dict[str, Any]) -> tuple[Answer, str]:
    """Whether what passed is what was exported: pictures, vectors, and what an application is told of the tensors."""
    goldens = read.goldens
    cosines = (embed(goldens.golden_images, weights()) * goldens.golden_embeddings).sum(axis=1)
    if cosines.min() < HARMLESS:
        return "wrong", f"passed with goldens of another model: {cosines.min()}"
    for name, pixels in was.items():
        path = read.path / "originals" / name
        if not np.array_equal(decode(path, read.preprocessing), pixels):
            return "wrong", f"passed with other pixels of {name}"
    if read.space.space_id != original.space.space_id:
        return "wrong", "passed in another space"
    (entry,), (sound,) = read.manifest.models, original.manifest.models
    if (entry.input, entry.output, entry.format, entry.file) != (sound.input, sound.output, sound.format, sound.file):
        return "wrong", f"passed with other tensors: {entry}"
    return "right", ""


def _damage(bundle: Path, chance: random.Random) -> None:
    """A file changed at random, and nothing made to fit."""
    path = chance.choice(_files(bundle))
    path.write_bytes(change_bytes(path.read_bytes(), chance))


def _rewrite(bundle: Path, chance: random.Random) -> None:
    """A manifest of somebody's, whose digests may fit."""
    path = bundle / MANIFEST
    for _ in range(chance.choice((1, 1, 1, 3))):
        with contextlib.suppress(ValueError, RecursionError):
            path.write_bytes(change_json(path.read_bytes(), chance))


def _relist(bundle: Path, chance: random.Random) -> None:
    """A file of somebody's, and a manifest that names it."""
    path = chance.choice([path for path in _files(bundle) if path.name not in (MANIFEST, SIGNATURE)])
    path = chance.choice((path, bundle / "goldens.safetensors", bundle / "space.json", bundle / "preprocess.json"))
    by_structure = {".safetensors": change_safetensors, ".json": change_json}.get(path.suffix, change_bytes)
    path.write_bytes(chance.choice((change_bytes, by_structure, by_structure))(path.read_bytes(), chance))
    relist(bundle)


def relist(bundle: Path) -> None:
    """Make the digests and sizes in a manifest fit the files, and leave the rest of it."""
    value = json.loads((bundle / MANIFEST).read_bytes())
    for file in value["files"]:
        content = (bundle / file["path"]).read_bytes()
        file |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (bundle / MANIFEST).write_text(json.dumps(value))
    from export.bundle.manifest import FileEntry

    files = tuple(FileEntry(**file) for file in value["files"])
    for model in value["models"]:
        own = tuple(file for file in files if file.path == model["file"] or file.path.startswith(model["file"] + "/"))
        model["sha256"], model["size"] = combined_digest(own, model["file"])
    (bundle / MANIFEST).write_text(json.dumps(value))


def _rearrange(bundle: Path, chance: random.Random) -> None:
    """Files in other places, and things that are no files."""
    path = chance.choice(_files(bundle))
    chance.choice(_ARRANGEMENTS)(path, bundle)


def _link_out(path: Path, bundle: Path) -> None:
    shutil.move(path, bundle.parent / "outside")
    path.symlink_to(bundle.parent / "outside")


def _instead(make: Callable[[Path], object], path: Path, _bundle: Path) -> None:
    path.unlink()
    make(path)


def _swap(path: Path, bundle: Path) -> None:
    other = next(file for file in _files(bundle) if file != path)
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


_ARRANGEMENTS: tuple[Callable[[Path, Path], object], ...] = (
    _link_out,
    _swap,
    lambda path, _bundle: path.unlink(),
    lambda path, _bundle: path.rename(path.with_name(path.name.upper())),
    lambda path, _bundle: path.rename(path.with_name(f"{path.name}\u200b")),
    lambda path, bundle: shutil.copy(path, bundle / "more"),
    lambda path, bundle: shutil.copy(path, bundle / "a\x1b[31m\n.txt"),
    lambda path, bundle: shutil.copy(path, bundle / os.fsdecode(b"\xff\xfe")),
    lambda _path, bundle: (bundle / "deep").joinpath(*["d"] * 200).mkdir(parents=True),
    lambda _path, bundle: (bundle / "link").symlink_to("/", target_is_directory=True),
    lambda _path, bundle: (bundle / "loop").symlink_to("loop"),
    partial(_instead, lambda path: path.mkdir()),
    partial(_instead, os.mkfifo),
    partial(_instead, lambda path: path.symlink_to("/dev/zero")),
    partial(_instead, lambda path: path.symlink_to(path.name)),
    partial(_instead, lambda path: path.open("wb").truncate(1 << 40)),
)


def _files(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def _content(bundle: Path) -> dict[str, str]:
    """Digests of everything in a folder, links for what they are."""
    return {
        path.relative_to(bundle).as_posix(): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
