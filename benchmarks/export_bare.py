"""The bare converters called by hand, for the time that hetero's export is compared with: no check, no search.

    python benchmarks/export_bare.py MODEL_DIRECTORY WORK

``WORK`` holds ``calibration.npy``, uint8 [n, h, w, 3]. Makes the same files as ``hetero export --precisions all`` but
for the contract; full int8 with each tool's default calibration.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from hetero import load_model  # noqa: E402


def main(directory: Path, work: Path) -> None:
    model = load_model(directory)
    images = np.load(work / "calibration.npy")
    example = torch.from_numpy(images[:1])
    onnx_files(model, example, images, work)
    litert_files(model, example, images, work)
    coreml_files(model, example, work)


def onnx_files(model: Any, example: torch.Tensor, images: np.ndarray, work: Path) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from onnxruntime.transformers.float16 import convert_float_to_float16

    path = work / "bare.onnx"
    torch.onnx.export(
        model, (example,), path, dynamo=True, opset_version=20, input_names=["image"], external_data=False,
        verbose=False,
    )  # fmt: skip
    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), work / "bare.fp16.onnx")
    quant_pre_process(path, work / "bare.pre.onnx", skip_symbolic_shape=True)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"image": row[None]}

    quantize_static(
        work / "bare.pre.onnx", work / "bare.int8.onnx", Reader(), quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True,
    )  # fmt: skip


def litert_files(model: Any, example: torch.Tensor, images: np.ndarray, work: Path) -> None:
    import litert_torch
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    path = str(work / "bare.tflite")
    litert_torch.convert(model, (example,)).export(path)
    half: Any = quantizer.Quantizer(path)
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    half.add_weight_only_config(
        regex=".*", operation_name=everything, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    half.quantize().export_model(work / "bare.fp16.tflite")
    for name in ("dynamic_wi8_afp32", "weight_only_wi8_afp32"):
        quantizer.Quantizer(path, getattr(recipe, name)()).quantize().export_model(work / f"bare.{name}.tflite")
    data = {"serving_default": [{"args_0": image[None]} for image in images]}
    for ends in ("float", "bytes"):
        static: Any = quantizer.Quantizer(path, recipe.static_wi8_ai8())
        kinds = [qtyping.TFLOperationName.DIV]
        kinds += [qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT] if ends == "float" else []
        for kind in kinds:
            static.update_quantization_recipe(regex=".*", operation_name=kind, algorithm_key=AlgorithmName.NO_QUANTIZE)
        static.quantize(static.calibrate(data)).export_model(work / f"bare.int8.{ends}.tflite")


def coreml_files(model: Any, example: torch.Tensor, work: Path) -> None:
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    class Planes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.model(image.permute(0, 2, 3, 1))

    planes = example.permute(0, 3, 1, 2).float()
    with torch.no_grad():
        traced = torch.jit.trace(Planes().eval(), planes)
    made: dict[str, Any] = {}
    for name, precision in (("fp32", ct.precision.FLOAT32), ("fp16", ct.precision.FLOAT16)):
        made[name] = ct.convert(
            traced, inputs=[ct.ImageType(name="image", shape=tuple(planes.shape), color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType(name="embedding", dtype=np.float32)], convert_to="mlprogram",
            compute_precision=precision, minimum_deployment_target=ct.target.iOS16, skip_model_load=True,
        )  # fmt: skip
    linear = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=512)
    made["int8-weights"] = cto.linear_quantize_weights(made["fp16"], cto.OptimizationConfig(global_config=linear))
    for bits in (8, 6, 4):
        palette = cto.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=512)
        made[f"palette{bits}"] = cto.palettize_weights(made["fp16"], cto.OptimizationConfig(global_config=palette))
    for name, package in made.items():
        package.save(str(work / f"bare.{name}.mlpackage"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
