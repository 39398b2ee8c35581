"""Compressed weights: every operator of iOS 16 and 18 by its formula, and as coremltools itself decompresses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from device_tests.runtimes.coreml import load
from tests.device_tests.runtimes.coreml.mil import ct, mb, run, types
from tests.device_tests.runtimes.coreml.test_elementwise import close, few, numbers

ROW = np.ones((1, 1), np.float32)


def held(build: Any, ios: int, shape: tuple[int, ...]) -> np.ndarray:
    """What a constant expression of a shape decodes to, by adding zero to it."""
    nothing = np.zeros(shape, np.float32)
    (made,) = run({"x": nothing}, lambda x: mb.add(x=x, y=build()), ios)
    return made


@few
@given(
    st.integers(1, 4), st.integers(1, 5), st.sampled_from([np.int8, np.uint8]), st.integers(0, 1), st.integers(0, 99)
)
def test_affine(rows: int, columns: int, dtype: Any, axis: int, seed: int) -> None:
    rng, count = np.random.default_rng(seed), (rows, columns)[axis]
    limits = np.iinfo(dtype)
    data = rng.integers(limits.min, limits.max + 1, (rows, columns)).astype(dtype)
    zero, scale = rng.integers(0, 20, count).astype(dtype), rng.random(count).astype(np.float32)
    made = held(
        lambda: mb.constexpr_affine_dequantize(quantized_data=data, zero_point=zero, scale=scale, axis=np.int32(axis)),
        16,
        (rows, columns),
    )
    turned = (slice(None), None) if axis == 0 else (None, slice(None))
    close([made], [(data.astype(np.float64) - zero[turned]) * scale[turned]], atol=1e-4)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_a_table_of_packed_indices(bits: int) -> None:
    rng = np.random.default_rng(bits)
    indices, table = rng.integers(0, 2**bits, 21), rng.normal(size=2**bits).astype(np.float32)
    # Written bit by bit, the least significant first.
    flags = "".join(format(index, f"0{bits}b")[::-1] for index in indices)
    packed = np.array([int(flags[at : at + 8][::-1], 2) for at in range(0, len(flags), 8)], np.uint8)
    made = held(
        lambda: mb.constexpr_lut_to_dense(indices=packed, lut=table, shape=np.array([3, 7], np.uint32)), 16, (3, 7)
    )
    np.testing.assert_array_equal(made, table[indices].reshape(3, 7))


def test_zeros_left_out() -> None:
    values = np.float32([[0, 1.5, 0, -2], [3, 0, 0, 0], [0, 0, 4, 0]])
    mask = np.packbits(values.reshape(-1) != 0, bitorder="little")
    shape = np.array(values.shape, np.uint32)
    made = held(
        lambda: mb.constexpr_sparse_to_dense(nonzero_data=values[values != 0], mask=mask, shape=shape), 16, (3, 4)
    )
    np.testing.assert_array_equal(made, values)


def test_halves() -> None:
    values = numbers((3, 4), 1).astype(np.float16)
    made = held(lambda: mb.constexpr_cast(source_val=values, output_dtype="fp32"), 16, (3, 4))
    np.testing.assert_array_equal(made, values.astype(np.float32))


@pytest.mark.parametrize("kind", ["int4", "uint4", "int8", "uint8"])
@pytest.mark.parametrize("shifted", [False, True])
def test_blocks_with_scales(kind: str, shifted: bool) -> None:
    dtype = types.nptype_from_builtin(types.string_to_builtin(kind))
    low, high = {"int4": (-8, 8), "uint4": (0, 16), "int8": (-128, 128), "uint8": (0, 256)}[kind]
    rng = np.random.default_rng(1)
    data, offset = rng.integers(low, high, (4, 6)), rng.integers(max(low, -3), 4, (2, 3))
    scale = rng.random((2, 3)).astype(np.float32)
    more = {"offset": offset.astype(dtype)} if shifted else {}
    made = held(lambda: mb.constexpr_blockwise_shift_scale(data=data.astype(dtype), scale=scale, **more), 18, (4, 6))
    spread = np.repeat(np.repeat(scale, 2, 0), 2, 1)
    shift = np.repeat(np.repeat(offset, 2, 0), 2, 1) if shifted else 0
    close([made], [spread * (data - shift)], atol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_tables_for_blocks(bits: int) -> None:
    rng = np.random.default_rng(bits)
    dtype = types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))
    indices = rng.integers(0, 2**bits, (4, 6))
    tables = rng.normal(size=(2, 1, 2**bits, 1)).astype(np.float32)
    made = held(lambda: mb.constexpr_lut_to_dense(indices=indices.astype(dtype), lut=tables), 18, (4, 6))
    expected = [[tables[row // 2, 0, indices[row, column], 0] for column in range(6)] for row in range(4)]
    np.testing.assert_array_equal(made, np.float32(expected))


@pytest.mark.parametrize("axis", [0, 1])
def test_tables_of_vectors(axis: int) -> None:
    rng = np.random.default_rng(axis)
    dtype = types.nptype_from_builtin(types.uint2)
    indices, tables = rng.integers(0, 4, (2, 3)), rng.normal(size=(1, 1, 4, 2)).astype(np.float32)
    shape = (4, 3) if axis == 0 else (2, 6)
    made = held(
        lambda: mb.constexpr_lut_to_dense(indices=indices.astype(dtype), lut=tables, vector_axis=np.int32(axis)),
        18,
        shape,
    )
    expected = np.zeros(shape, np.float32)
    for row, column, part in np.ndindex(2, 3, 2):
        place = (2 * row + part, column) if axis == 0 else (row, 2 * column + part)
        expected[place] = tables[0, 0, indices[row, column], part]
    np.testing.assert_array_equal(made, expected)


def test_compressed_numbers_between_zeros() -> None:
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]])
    flags = mask.astype(types.nptype_from_builtin(types.uint1))
    data = np.arange(1, 10)

    def scaled() -> Any:
        return mb.constexpr_sparse_to_dense(
            **dict(
                zip(
                    ("mask", "nonzero_data"),
                    mb.constexpr_sparse_blockwise_shift_scale(
                        data_mask=flags,
                        nonzero_data=data.astype(np.int8),
                        scale=np.float32([[0.1, 0.2, 0.3, 0.4]]),
                        offset=np.int8([[1, 2, 3, 4]]),
                    ),
                    strict=True,
                )
            )
        )

    dense = np.zeros((4, 4))
    dense[mask == 1] = data
    expected = np.where(mask == 1, (dense - [1, 2, 3, 4]) * [0.1, 0.2, 0.3, 0.4], 0)
    close([held(scaled, 18, (4, 4))], [expected])

    table = np.float32([2.0, 3.0]).reshape(1, 1, 2, 1)
    indices = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1])

    def looked_up() -> Any:
        return mb.constexpr_sparse_to_dense(
            **dict(
                zip(
                    ("mask", "nonzero_data"),
                    mb.constexpr_lut_to_sparse(
                        indices_mask=flags,
                        indices_nonzero_data=indices.astype(types.nptype_from_builtin(types.uint1)),
                        lut=table,
                    ),
                    strict=True,
                )
            )
        )

    dense[mask == 1] = np.float32([2, 3])[indices]
    close([held(looked_up, 18, (4, 4))], [dense])


def test_quantised_activations() -> None:
    values, scale = numbers((1, 3, 4), 1, 4), np.float32([0.1, 0.2, 0.3])
    zero = np.int8([1, -2, 3])
    (made,) = run(
        {"x": values},
        lambda x: mb.dequantize(
            input=mb.quantize(input=x, scale=scale, zero_point=zero, output_dtype="int8", axis=1),
            scale=scale,
            zero_point=zero,
            axis=1,
        ),
    )
    expected = torch.fake_quantize_per_channel_affine(
        torch.from_numpy(values), torch.from_numpy(scale), torch.from_numpy(zero).int(), 1, -128, 127
    )
    close([made], [expected])


def _compressions() -> dict[str, Any]:
    from coremltools.optimize import coreml as cto

    def linear(**options: Any) -> Any:
        config = cto.OpLinearQuantizerConfig(weight_threshold=256, **options)
        return lambda model: cto.linear_quantize_weights(model, cto.OptimizationConfig(global_config=config))

    def palette(**options: Any) -> Any:
        config = cto.OpPalettizerConfig(weight_threshold=256, **options)
        return lambda model: cto.palettize_weights(model, cto.OptimizationConfig(global_config=config))

    def pruned(config: Any) -> Any:
        return lambda model: cto.prune_weights(model, cto.OptimizationConfig(global_config=config))

    def together(*steps: Any) -> Any:
        def run(model: Any) -> Any:
            for step in steps:
                model = step(model)
            return model

        return run

    def joint(step: str, config: Any) -> Any:
        function = {"palette": cto.palettize_weights, "linear": cto.linear_quantize_weights}[step]
        return lambda model: function(model, cto.OptimizationConfig(global_config=config), joint_compression=True)

    sparse = pruned(cto.OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=256))
    return {
        "linear int8": (16, linear(mode="linear_symmetric", dtype="int8")),
        "linear uint8": (16, linear(mode="linear", dtype="uint8")),
        "per tensor": (18, linear(mode="linear_symmetric", dtype="int8", granularity="per_tensor")),
        "per block int4": (18, linear(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=8)),
        "per block uint4": (18, linear(mode="linear", dtype="uint4", granularity="per_block", block_size=4)),
        **{f"uniform palette {bits}": (16, palette(mode="uniform", nbits=bits)) for bits in (1, 2, 4, 6, 8)},
        "palette 3": (18, palette(mode="uniform", nbits=3)),
        "palette by groups": (
            18,
            palette(mode="uniform", nbits=4, granularity="per_grouped_channel", group_size=8),
        ),
        "palette with scales": (
            18,
            palette(
                mode="uniform", nbits=4, granularity="per_grouped_channel", group_size=8, enable_per_channel_scale=True
            ),
        ),
        "threshold": (
            16,
            pruned(cto.OpThresholdPrunerConfig(threshold=0.02, minimum_sparsity_percentile=0.1, weight_threshold=256)),
        ),
        "magnitude": (16, sparse),
        "magnitude on iOS 18": (18, sparse),
        "sparse palette": (
            18,
            together(sparse, joint("palette", cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=256))),
        ),
        "sparse linear": (
            18,
            together(
                sparse,
                joint(
                    "linear", cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=256)
                ),
            ),
        ),
    }


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """One small network for each system version."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, 2, 1, groups=2),
        torch.nn.Hardswish(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 24),
    ).eval()
    traced = torch.jit.trace(network, torch.zeros(1, 3, 16, 16))
    return {
        ios: ct.convert(
            traced,
            inputs=[ct.TensorType(name="x", shape=(1, 3, 16, 16))],
            outputs=[ct.TensorType(name="y")],
            convert_to="mlprogram",
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=target,
            skip_model_load=True,
        )
        for ios, target in ((16, ct.target.iOS16), (18, ct.target.iOS18))
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", list(_compressions()))
def test_each_compression_of_coremltools_as_it_decompresses_it(
    name: str, originals: dict[int, Any], tmp_path: Path
) -> None:
    from coremltools.optimize.coreml import decompress_weights

    ios, compress = _compressions()[name]
    compressed = compress(originals[ios])
    compressed.save(str(tmp_path / "small.mlpackage"))
    decompress_weights(compressed).save(str(tmp_path / "large.mlpackage"))
    small, large = load(tmp_path / "small.mlpackage"), load(tmp_path / "large.mlpackage")
    used = {operation.type for operation in small.program.operations if operation.type.startswith("constexpr_")}
    assert used and not any(operation.type.startswith("constexpr_") for operation in large.program.operations)
    x = numbers((4, 3, 16, 16), 1)
    came, expected = small.predict({"x": x})["y"], large.predict({"x": x})["y"]
    np.testing.assert_allclose(came, expected, rtol=1e-4, atol=1e-5)
