"""A bundle of unknown origin, changed at random: always refused, never a crash or a hang."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.bundle.reading import read_bundle
from export.bundle.signing import check_signature, generate_key, sign
from hetero.errors import InputError, IntegrityError
from tests.export.bundles import relist, write_bundle


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A signed bundle, and the key that it is trusted by."""
    folder = tmp_path_factory.mktemp("hostile")
    generate_key(folder / "key.pem", folder / "key.pub.pem")
    bundle = write_bundle(folder / "bundle")
    sign(bundle, folder / "key.pem")
    return bundle, folder / "key.pub.pem"


def open_whole(bundle: Path, key: Path) -> None:
    """Everything that a reader does before it trusts a bundle."""
    _ = read_bundle(bundle).goldens
    check_signature(bundle, key)


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def grow(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content) + 1))
    return content[:place] + rng.bytes(int(rng.integers(1, 40))) + content[place:]


def claim_four_gigabytes(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(max(1, len(content) - 8)))
    return content[:place] + (4 << 30).to_bytes(8, "little") + content[place + 8 :]


def digits(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number where one stood: sizes, shapes, digests."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if not places:
        return flip(content, rng)
    place = places[int(rng.integers(len(places)))]
    return content[:place] + str(int(rng.integers(10**10))).encode() + content[place + 1 :]


MUTATIONS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (flip, cut, grow, claim_four_gigabytes, digits)


def mutate(bundle: Path, rng: np.random.Generator) -> str:
    """Change one file; returns what was done, nothing when chance gave the same bytes."""
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    change = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    before = path.read_bytes()
    after = change(before, rng) if before else b"x"
    path.write_bytes(after)
    return "" if after == before else f"{change.__name__} of {path.name}"


def require_all_refused(signed: tuple[Path, Path], folder: Path, seeds: range) -> None:
    bundle, key = signed
    open_whole(bundle, key)
    for seed in seeds:
        copy = folder / "copy"
        shutil.copytree(bundle, copy)
        if done := mutate(copy, np.random.default_rng(seed)):
            with pytest.raises(InputError) as caught:
                open_whole(copy, key)
            assert len(str(caught.value)) < 20_000, f"seed {seed}: {done}"
        shutil.rmtree(copy)


def test_mutated_bundles_are_refused(signed: tuple[Path, Path], tmp_path: Path) -> None:
    require_all_refused(signed, tmp_path, range(60))


@pytest.mark.slow
def test_a_thousand_mutated_bundles_are_refused(signed: tuple[Path, Path], tmp_path: Path) -> None:
    require_all_refused(signed, tmp_path, range(1000, 2000))


def test_each_attack_has_its_own_message(signed: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, key = signed
    messages: list[str] = []

    def attack(name: str, damage: Callable[[Path], object]) -> None:
        copy = tmp_path / name
        shutil.copytree(bundle, copy)
        damage(copy)
        with pytest.raises(IntegrityError) as caught:
            open_whole(copy, key)
        messages.append(str(caught.value).replace(str(copy), ""))

    def flip_one(copy: Path) -> None:
        content = bytearray((copy / "model.fp32.onnx").read_bytes())
        content[0] ^= 1
        (copy / "model.fp32.onnx").write_bytes(content)

    def leave(copy: Path) -> None:
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["files"][0]["path"] = "../../outside"
        (copy / "manifest.json").write_text(json.dumps(manifest))

    def claim(copy: Path) -> None:
        content = (copy / "goldens.safetensors").read_bytes()
        (copy / "goldens.safetensors").write_bytes((4 << 30).to_bytes(8, "little") + content[8:])
        relist(copy)

    def truncate(copy: Path) -> None:
        (copy / "goldens.safetensors").write_bytes((copy / "goldens.safetensors").read_bytes()[:-100])

    def forge(copy: Path) -> None:
        relist(copy)
        entry = json.loads((copy / "manifest.sig").read_text())
        entry["signature"] = "11" * 64
        (copy / "manifest.sig").write_text(json.dumps(entry))

    for name, damage in (("flip", flip_one), ("leave", leave), ("claim", claim), ("cut", truncate), ("forge", forge)):
        attack(name, damage)
    expected = (
        "expected sha256",
        "not a plain relative path",
        "was cut off",
        "bytes, got",
        "was changed after signing",
    )
    for message, words in zip(messages, expected, strict=True):
        assert words in message
    assert len({message.splitlines()[-1] for message in messages}) == len(messages)
