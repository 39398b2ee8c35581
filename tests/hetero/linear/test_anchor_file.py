"""Factors of anchors as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hetero.errors import InputError, IntegrityError
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.anchor_file import load_factors, require_factors, save_factors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import anchor_factors
from tests.hetero.linear.nets import net


def model(seed: int = 0, dtype: torch.dtype = torch.float32) -> Linearised:
    return Linearised(net(seed), dtype=dtype)


def written(path: Path) -> AnchorFactors:
    made = anchor_factors(model(), torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0)), draws=3)
    save_factors(path, made, model())
    return made


def test_factors_come_back_in_the_dtype_of_the_model(tmp_path: Path):
    made = written(tmp_path / "anchors.safetensors")
    back = load_factors(tmp_path / "anchors.safetensors", model(dtype=torch.float64))
    change = torch.randn(model().size, generator=torch.Generator().manual_seed(1))
    held = back.product(model(dtype=torch.float64), change.double())
    assert held.dtype == torch.float64 and back.images == made.images == 6
    assert torch.allclose(held.float(), made.product(model(), change), rtol=1e-4, atol=1e-6)


def test_factors_of_other_weights_are_refused(tmp_path: Path):
    written(tmp_path / "anchors.safetensors")
    with pytest.raises(InputError, match="of other weights"):
        load_factors(tmp_path / "anchors.safetensors", model(seed=1))


@pytest.mark.parametrize("broken", ["missing", "shape", "channels", "nan", "negative", "another", "cut"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, broken: str):
    path = tmp_path / "anchors.safetensors"
    written(path)
    tensors = load_file(path)
    metadata = {"hetero": header(path)}
    if broken == "missing":
        del tensors["outputs/last.weight"]
    if broken == "shape":
        tensors["inputs/last.weight"] = tensors["inputs/last.weight"][:2]
    if broken == "channels":
        tensors["channels/depthwise.weight"] = tensors["channels/depthwise.weight"][:, :, :4]
    if broken == "nan":
        tensors["inputs/last.weight"][0, 0] = torch.nan
    if broken == "negative":
        tensors["diagonal/norm.weight"][0] = -1
    if broken == "another":
        metadata = {"hetero": '{"schema":"hetero/embeddings/1"}'}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata=metadata)
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(IntegrityError):
        load_factors(path, model())


def test_the_kind_of_a_file_is_seen_without_reading_it(tmp_path: Path):
    path = tmp_path / "anchors.safetensors"
    with pytest.raises(InputError, match="found no file"):
        require_factors(path)
    written(path)
    require_factors(path)
    save_file(load_file(path), path, metadata={"hetero": '{"schema":"hetero/embeddings/1"}'})
    with pytest.raises(IntegrityError, match="schema: Input should be 'hetero/anchor-factors/1'"):
        require_factors(path)


def header(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return file.metadata()["hetero"]
