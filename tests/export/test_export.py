"""Real conversions of a tiny model, held against torch by real runtimes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export import RetrievalSet, calibration_set, export_model
from export.bundle.reading import Bundle, read_bundle
from export.capture.program import capture, save
from export.capture.source import from_directory
from export.conversion.processes import run_all
from export.conversion.request import Request
from export.formats import FORMATS
from export.formats.converter import require_available
from export.kinds.precision import PRECISIONS
from export.precision.table import offered
from hetero.errors import InputError, SpaceMismatchError
from hetero.files import canonical_json
from hetero.models.config import ModelConfig, Stage
from hetero.models.cost import cost
from hetero.models.directory import load_model, save_model
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.export.bundles import retrieval_set

STAGES = (
    Stage(channels=8, expansion=2.0),
    Stage(channels=16, stride=2, kernel=5, squeeze_excite=True),
    Stage(channels=16, squeeze_excite=True),
)
PREPROCESSING = Preprocessing(height=20, width=24, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
SPACE = EmbeddingSpace.define(defined_by="a" * 64, name="cloud", version="1", dimension=16)


def save_tiny(directory: Path, name: str = "tiny") -> Path:
    """An edge model whose batch statistics fit the test images, so that its vectors tell them apart."""
    torch.manual_seed(0)
    model = EmbeddingModel(name, ModelConfig(dimension=16, pool="gem", stages=STAGES), PREPROCESSING)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.from_numpy(tiny_retrieval().images))
    model.space = SPACE
    save_model(directory, model, {})
    return directory


def tiny_retrieval() -> RetrievalSet:
    return retrieval_set(PREPROCESSING, SPACE)


def tiny_calibration(model: Path) -> RetrievalSet:
    """Other images, in pairs of one class; their cloud vectors are the model's own, so that there is much to lose."""
    rng = np.random.default_rng(5)
    plain = rng.integers(20, 236, (12, 20, 24, 3))
    views = [np.clip(plain + rng.integers(-20, 21, plain.shape), 0, 255).astype(np.uint8) for _ in range(2)]
    images, labels = np.concatenate(views), np.tile(np.arange(12), 2)
    return calibration_set(images, labels, from_directory(model).embed(images), SPACE)


@pytest.fixture(scope="module")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_directory: Path) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    made = export_model(
        model_directory,
        tiny_retrieval(),
        out,
        precisions=PRECISIONS,
        calibration=tiny_calibration(model_directory),
        goldens=4,
    )
    return read_bundle(made)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.mark.slow
class TestBundle:
    def test_goldens_are_what_torch_computes(self, bundle: Bundle, model_directory: Path) -> None:
        goldens, model = bundle.goldens, load_model(model_directory)
        assert goldens.golden_images.shape == (4, 20, 24, 3)
        planes = goldens.golden_images.astype(np.float64).transpose(0, 3, 1, 2) / 255
        mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
        assert goldens.golden_tensors.shape == (2, 3, 20, 24)
        assert np.abs(goldens.golden_tensors - ((planes - mean) / std)[:2]).max() < 1e-5
        with torch.no_grad():
            vectors = model(torch.from_numpy(goldens.golden_images)).numpy()
        assert np.abs(goldens.golden_embeddings - vectors).max() < 1e-6
        assert np.array_equal(goldens.retrieval_cloud, tiny_retrieval().cloud_embeddings)
        # Otherwise parity with them would show nothing.
        assert (vectors @ vectors.T - 2 * np.eye(4)).max() < 0.9

    def test_manifest(self, bundle: Bundle, model_directory: Path) -> None:
        manifest, measured = bundle.manifest, cost(load_model(model_directory))
        assert (manifest.macs, manifest.parameters) == (measured.macs, measured.parameters)
        assert [(model.format, model.precision) for model in manifest.models] == offered(FORMATS, PRECISIONS)
        assert manifest.missing == ()
        for model in manifest.models:
            assert model.checked == ("not verified" if model.format == "coreml" else "pass")
            if model.precision == "fp32" and model.min_cosine is not None:
                assert model.min_cosine > 1 - 1e-6
        assert set(bundle.model("coreml").versions) == {"torch", "coremltools"}

    @pytest.mark.parametrize("format", ["onnx", "litert"])
    def test_int8_is_chosen_by_retrieval_and_really_int8(self, bundle: Bundle, format: Any) -> None:
        model = bundle.model(format, "int8")
        made, evidence = model.quantisation, model.quantisation.evidence
        assert made.tried >= 8
        assert (evidence.queries, evidence.classes) == (24, 12)
        assert made.met == (evidence.chosen.loss.value <= made.goal)
        assert evidence.chosen.overlap >= evidence.plain.overlap - 0.01
        # The file itself adds the contract, and ranges from all images.
        assert evidence.chosen.size == pytest.approx(model.size, rel=0.2)
        assert any("24 calibration queries are too few" in warning for warning in model.warnings)
        assert model.min_cosine > 0.9
        content = (bundle.path / model.file).read_bytes()
        weights = sum(
            parameter.numel() for name, parameter in load_tiny(bundle).named_parameters() if parameter.dim() > 1
        )
        assert int8_values(content, format) >= weights

    def test_bytes_out(self, bundle: Bundle) -> None:
        from ai_edge_litert.interpreter import Interpreter

        model = bundle.model("litert", "int8-uint8io")
        assert (model.output.type, model.output.scale, model.output.zero_point) == ("uint8", 1 / 128, 128)
        interpreter = Interpreter(model_path=str(bundle.path / model.file))
        interpreter.allocate_tensors()
        (image,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (image["dtype"], embedding["dtype"]) == (np.uint8, np.uint8)
        assert embedding["quantization"] == (1 / 128, 128)
        interpreter.set_tensor(image["index"], bundle.goldens.golden_images[:1])
        interpreter.invoke()
        vector = (interpreter.get_tensor(embedding["index"]).astype(np.float64) - 128) / 128
        assert (vector @ bundle.goldens.golden_embeddings[0]).item() / np.linalg.norm(vector) > 0.9

    def test_onnx(self, bundle: Bundle) -> None:
        import onnxruntime

        session = onnxruntime.InferenceSession(bundle.path / "model.fp32.onnx", providers=["CPUExecutionProvider"])
        (image,), (embedding,) = session.get_inputs(), session.get_outputs()
        assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, 20, 24, 3])
        assert (embedding.name, embedding.type, embedding.shape) == ("embedding", "tensor(float)", [1, 16])
        came = np.concatenate([session.run(None, {"image": one[None]})[0] for one in bundle.goldens.golden_images])
        require_same_direction(came, bundle.goldens.golden_embeddings)
        require_contract(session.get_modelmeta().custom_metadata_map)

    def test_litert(self, bundle: Bundle) -> None:
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter

        path = bundle.path / "model.fp32.tflite"
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
        (image,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (image["name"], image["dtype"], image["shape"].tolist()) == ("image", np.uint8, [1, 20, 24, 3])
        assert (embedding["name"], embedding["dtype"]) == ("embedding", np.float32)
        came: list[Any] = []
        for one in bundle.goldens.golden_images:
            interpreter.set_tensor(image["index"], one[None])
            interpreter.invoke()
            came.append(interpreter.get_tensor(embedding["index"]))
        require_same_direction(np.concatenate(came), bundle.goldens.golden_embeddings)
        content = path.read_bytes()
        assert content[4:8] == b"TFL3"
        model = schema.Model.GetRootAs(content, 0)
        entries = {model.Metadata(i).Name(): model.Metadata(i).Buffer() for i in range(model.MetadataLength())}
        require_contract(json.loads(model.Buffers(entries[b"hetero"]).DataAsNumpy().tobytes()))
        assert model.Buffers(entries[b"min_runtime_version"]).DataAsNumpy().tobytes().rstrip(b"\0")
        assert all(starts % 16 == 0 for starts in buffer_starts(model))

    def test_coreml(self, bundle: Bundle) -> None:
        from coremltools.proto import MIL_pb2, Model_pb2

        package = bundle.path / "model.fp32.mlpackage"
        described = json.loads((package / "Manifest.json").read_text())
        root = described["itemInfoEntries"][described["rootModelIdentifier"]]
        specification = Model_pb2.Model()
        specification.ParseFromString((package / "Data" / root["path"]).read_bytes())
        (image,), (embedding,) = specification.description.input, specification.description.output
        taken, given = image.type.imageType, embedding.type.multiArrayType
        assert (image.name, taken.height, taken.width) == ("image", 20, 24)
        assert taken.ColorSpace.Name(taken.colorSpace) == "RGB"
        assert (embedding.name, list(given.shape)) == ("embedding", [1, 16])
        assert given.ArrayDataType.Name(given.dataType) == "FLOAT32"
        require_contract(specification.description.metadata.userDefined)
        assert "com.github.apple.coremltools.conversion_date" not in specification.description.metadata.userDefined
        function = specification.mlProgram.functions["main"]
        assert function.opset == "CoreML6"
        operations = function.block_specializations["CoreML6"].operations
        kinds = {operation.type for operation in operations} - {"const"}
        assert "conv" in kinds
        assert "cast" not in kinds, "float32 throughout: nothing may be rounded to half precision"
        types = {output.type.tensorType.dataType for operation in operations for output in operation.outputs}
        assert MIL_pb2.DataType.Value("FLOAT32") in types
        assert MIL_pb2.DataType.Value("FLOAT16") not in types

    def test_card(self, bundle: Bundle) -> None:
        card = (bundle.path / "README.md").read_text()
        assert card.count("not verified yet") == 15
        for text in (SPACE.space_id, "longArrayOf(1, 20, 24, 3)", "FloatArray(16)", "24 x 20", "grey level 255"):
            assert text in card
        assert "`model.int8.onnx`: activation ranges by " in card
        assert "**Warning**: model.int8.onnx: its 24 calibration queries are too few to tell" in card

    def test_nothing_of_the_machine_leaks(self, bundle: Bundle) -> None:
        here = {str(Path.cwd()), str(Path.home()), str(bundle.path.parent), sys.prefix, "site-packages"}
        for name, content in contents(bundle.path).items():
            assert not [text for text in here if text.encode() in content], name

    def test_killed_and_repeated(self, bundle: Bundle, model_directory: Path, tmp_path: Path) -> None:
        tiny_retrieval().save(tmp_path / "set.safetensors")
        out = tmp_path / "bundles" / "tiny"
        command = [sys.executable, "-m", "hetero", "export", model_directory, tmp_path / "set.safetensors", out]
        tiny_calibration(model_directory).save(tmp_path / "calibration.safetensors")
        command += ["--goldens", "4", "--precisions", "all", "--calibration", tmp_path / "calibration.safetensors"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        # Killed once converters are at work: two, or one where memory is short.
        wait_for(lambda: [*out.parent.glob(".tiny.*/.work*/*.log")] and children_of(process.pid))
        os.kill(process.pid, signal.SIGSTOP)
        children = children_of(process.pid)
        assert 0 < len(children) <= 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists()
        wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "at export: pass" in done.stdout
        assert [path.name for path in out.parent.iterdir()] == ["tiny"]
        assert contents(out) == contents(bundle.path)


def load_tiny(bundle: Bundle) -> EmbeddingModel:
    return EmbeddingModel("tiny", ModelConfig(dimension=16, pool="gem", stages=STAGES), PREPROCESSING)


def int8_values(content: bytes, format: str) -> int:
    """How many weights a file holds as int8."""
    if format == "onnx":
        import onnx

        initializers = onnx.load_from_string(content).graph.initializer
        return sum(math.prod(one.dims) for one in initializers if one.data_type == onnx.TensorProto.INT8)
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    constant = [one for one in tensors if model.Buffers(one.Buffer()).DataLength()]
    return sum(math.prod(one.ShapeAsNumpy()) for one in constant if one.Type() == schema.TensorType.INT8)


def require_same_direction(came: np.ndarray, expected: np.ndarray) -> None:
    cosines = (came.astype(np.float64) * expected).sum(1) / np.linalg.norm(expected.astype(np.float64), axis=1)
    assert np.abs(cosines - 1).max() < 1e-6


def require_contract(metadata: Any) -> None:
    assert metadata["hetero.space_id"] == SPACE.space_id
    assert metadata["hetero.space"] == "cloud 1"
    assert metadata["hetero.model"] == "tiny"
    assert metadata["hetero.preprocessing"] == canonical_json(PREPROCESSING.to_dict())


def buffer_starts(model: Any) -> list[int]:
    """Where each non-empty buffer's content lies in the file."""
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    return [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Any, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_failure_costs_one_file_and_a_crash_one_format(tmp_path: Path, model_directory: Path) -> None:
    from safetensors.numpy import save_file

    source = from_directory(model_directory)
    save(capture(source.module, source.example), tmp_path / "program.pt2")
    wrong = np.eye(16, dtype=np.float32)[:2]
    save_file(
        {"golden_images": np.zeros((2, 20, 24, 3), np.uint8), "golden_embeddings": wrong},
        tmp_path / "goldens.safetensors",
    )

    def request(format: Any, precision: Any) -> Request:
        (tmp_path / format).mkdir()
        return Request(
            program=str(tmp_path / "program.pt2"),
            int8_program="",
            format=format,
            files={precision: str(tmp_path / f"{format}.file")},
            goldens=str(tmp_path / "goldens.safetensors"),
            work=str(tmp_path / format),
            metadata=source.describe(),
            height=20,
            width=24,
            any_batch=False,
            goals={precision: 0.01},
        )

    finished: list[tuple[str, str]] = []
    both = [request("onnx", "fp32"), request("coreml", "fp32")]
    # Nothing catches this in the converter's process, so that it ends.
    (tmp_path / "coreml" / "calibration.safetensors").write_bytes(b"nonsense")
    outcomes = run_all(
        both,
        finished=lambda *file: finished.append(file),
    )
    assert sorted(finished) == [("coreml", "fp32"), ("onnx", "fp32")]
    turned, crashed = outcomes["onnx", "fp32"], outcomes["coreml", "fp32"]
    assert "onnx.file does not compute what the model computes: over 2 golden images" in str(turned)
    assert "the converter ended with status 1" in str(crashed)
    assert "expected a safetensors file at" in str(crashed)


class TestRefusals:
    def test_another_space(self, model_directory: Path, tmp_path: Path) -> None:
        other = EmbeddingSpace.define(defined_by="b" * 64, name="other", version="2", dimension=16)
        with pytest.raises(SpaceMismatchError, match=f"other 2 .{other.space_id}.*cloud 1 .{SPACE.space_id}"):
            export_model(model_directory, retrieval_set(PREPROCESSING, other), tmp_path / "out")

    def test_images_of_another_size(self, model_directory: Path, tmp_path: Path) -> None:
        wrong = retrieval_set(replace(PREPROCESSING, height=32), SPACE)
        with pytest.raises(InputError, match=r"expected uint8 \[20, 24, 3\].*got uint8 \[32, 24, 3\]"):
            export_model(model_directory, wrong, tmp_path / "out")

    def test_unknown_format_and_precision(self) -> None:
        with pytest.raises(InputError) as caught:
            require_available(("onnx", "caffe"), ("int3",))
        assert caught.value.problems[0] == "format 'caffe': expected one of onnx, litert, coreml, executorch"
        assert caught.value.problems[1].startswith("precision 'int3': expected one of fp32, fp16, int8,")

    def test_precision_that_no_format_takes(self) -> None:
        with pytest.raises(InputError, match="palette4: onnx refuses it: palettes are a Core ML compression"):
            require_available(("onnx", "litert"), ("fp32", "palette4"))

    def test_int8_without_calibration(self, model_directory: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="onnx int8: needs calibration images"):
            export_model(model_directory, tiny_retrieval(), tmp_path / "out", formats=("onnx",), precisions=("int8",))

    def test_calibration_with_test_images(self, model_directory: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="6 of 6 calibration images are among the test images"):
            export_model(
                model_directory, tiny_retrieval(), tmp_path / "out", formats=("onnx",), calibration=tiny_retrieval()
            )

    def test_never_replaces_what_is_not_a_bundle(self, model_directory: Path, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="will not be replaced"):
            export_model(model_directory, tiny_retrieval(), tmp_path)
        assert (tmp_path / "thesis.tex").exists()

    def test_name_that_is_no_file_name(self, tmp_path: Path) -> None:
        directory = save_tiny(tmp_path / "model", name="../tiny")
        with pytest.raises(InputError, match="a model's name may hold"):
            export_model(directory, tiny_retrieval(), tmp_path / "out")
