"""The code for pages: in Node.js, and whole in Chromium. Skipped, with the reason, where one of them is missing."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device_tests.answers.golden_files import golden_files
from device_tests.runner.engines import engine
from export.app_code.code import JAVASCRIPT, reference_code
from hetero.data.decoding.decode import decode, resized
from hetero.preprocessing import Preprocessing
from tests.export.app_code.cases import SIZES, contracts, expected_top, lay_out_application, png_files, rgba
from tests.export.app_code.chromium import answer_of

_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def in_node(script: str, folder: Path) -> Any:
    """What a script leaves in ``answer``; it imports from the folder of the code by ``./``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js, found none")
    path = folder / "script.mjs"
    path.write_text(
        script.replace("'./", f"'{JAVASCRIPT.as_uri()}/") + "\nprocess.stdout.write(JSON.stringify(answer));"
    )
    done = subprocess.run([node, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(made: list[int], expected: np.ndarray, what: str) -> None:
    np.testing.assert_array_equal(np.array(made, np.uint8).reshape(expected.shape), expected, err_msg=what)


def test_the_resizing_is_the_contracts_to_the_last_bit(tmp_path: Path) -> None:
    for width, height in SIZES:
        (tmp_path / f"{width}x{height}").write_bytes(rgba(width, height).tobytes())
    made = in_node(
        f"""
        import {{readFileSync}} from 'node:fs';
        import {{fit}} from './resize.mjs';
        const contracts = {json.dumps([contract.to_dict() for contract in contracts()])};
        const answer = {json.dumps(SIZES)}.map(([width, height]) => {{
          const image = {{data: readFileSync(`{tmp_path}/${{width}}x${{height}}`), width, height}};
          return contracts.map((contract) => Array.from(fit(image, contract)));
        }});
        """,
        tmp_path,
    )
    for size, rows in zip(SIZES, made, strict=True):
        picture = Image.fromarray(rgba(*size)[..., :3].copy())
        for contract, row in zip(contracts(), rows, strict=True):
            same(row, resized(picture, contract), f"{size} {contract.in_words}")


@pytest.mark.parametrize("grey_range", [None, (100.0, 40950.0)])
def test_png_files_are_read_to_the_last_bit(tmp_path: Path, grey_range: tuple[float, float] | None) -> None:
    files = png_files(tmp_path)
    contract = Preprocessing(19, 26, pad_value=77, grey_range=grey_range)
    made = in_node(
        f"""
        import {{readFileSync}} from 'node:fs';
        import {{decodePng}} from './png.mjs';
        const contract = {json.dumps(contract.to_dict())};
        const answer = [];
        for (const file of {json.dumps([str(path) for path in files.values()])}) {{
          const {{data}} = await decodePng(new Uint8Array(readFileSync(file)), contract);
          answer.push(Array.from(data).filter((_, at) => at % 4 < 3));
        }}
        """,
        tmp_path,
    )
    for (kind, path), pixels in zip(files.items(), made, strict=True):
        same(pixels, decode(path, contract), kind)


def test_other_files_are_left_to_the_browser(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 4)).save(tmp_path / "turned.png", exif=exif)
    made = in_node(
        f"""
        import {{readFileSync}} from 'node:fs';
        import {{decodePng}} from './png.mjs';
        const answer = [];
        for (const name of ['a.jpg', 'turned.png']) {{
          answer.push(await decodePng(new Uint8Array(readFileSync('{tmp_path}/' + name)), {{pad_value: 1}}));
        }}
        """,
        tmp_path,
    )
    assert made == [None, None]


def test_what_is_transparent_shows_the_ground_as_in_pillow(tmp_path: Path) -> None:
    """Every value at every opacity."""
    values, alphas = np.meshgrid(np.arange(256), np.arange(256))
    picture = np.stack([values, values, 255 - values, alphas], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "all.png")
    contract = Preprocessing(256, 256, pad_value=201)
    made = in_node(
        f"""
        import {{readFileSync}} from 'node:fs';
        import {{decodePng}} from './png.mjs';
        const {{data}} = await decodePng(new Uint8Array(readFileSync('{tmp_path}/all.png')), {{pad_value: 201}});
        const answer = Array.from(data).filter((_, at) => at % 4 < 3);
        """,
        tmp_path,
    )
    same(made, decode(tmp_path / "all.png", contract), "transparent")


def test_a_gallery_refuses_vectors_of_another_space(tmp_path: Path) -> None:
    made = in_node(
        """
        import {Gallery} from './gallery.mjs';
        const vectors = Float32Array.of(1, 0, 0, 1, 0.6, 0.8);
        const gallery = new Gallery({spaceId: 'a', dimension: 2, names: ['x', 'y', 'z'], vectors});
        const answer = {found: gallery.search({spaceId: 'a', vector: Float32Array.of(0, 1)}, 2), refusals: []};
        for (const [spaceId, ...vector] of [['b', 0, 1], ['a', 1]]) {
          try { gallery.search({spaceId, vector}, 1); } catch (error) { answer.refusals.push(error.message); }
        }
        """,
        tmp_path,
    )
    assert [hit["name"] for hit in made["found"]] == ["y", "z"]
    assert made["found"][1]["similarity"] == pytest.approx(0.8)
    assert "space a, the query is one of b" in made["refusals"][0]
    assert "expected a vector of 2 numbers, got 1" in made["refusals"][1]


_ENGINE = """
    export const format = 'litert';
    let running = 0;
    export async function load(model, contract, {provider}) {
      if (provider !== 'wasm') throw new Error('no such accelerator');
      const run = async (pixels) => {
        if (running++) throw new Error('two at once');
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
        return Uint8Array.of(...pixels.subarray(0, 3), 255);
      };
      return {run, close() {}};
    }
"""
"""Of a model that gives bytes: those of the first pixel, and 255."""


def test_bytes_are_scaled_engines_tried_in_turn_and_images_wait(tmp_path: Path) -> None:
    contract, _ = lay_out_application(tmp_path, "litert")
    output = dataclasses.replace(contract.output, type="uint8", scale=1 / 128, zero_point=128)
    text = json.dumps(dataclasses.replace(contract, output=output).to_dict())
    (tmp_path / "app").mkdir()
    for name, content in {**reference_code(contract, "javascript"), "engine.mjs": _ENGINE}.items():
        (tmp_path / "app" / name).write_text(content)
    made = in_node(
        f"""
        import {{HeteroModel}} from '{(tmp_path / "app" / "model.mjs").as_uri()}';
        const contractUrl = 'data:application/json;base64,{base64.b64encode(text.encode()).decode()}';
        const options = {{contractUrl, modelUrl: 'data:,x'}};
        const model = await HeteroModel.load({{...options, providers: ['webnn', 'webgpu', 'wasm']}});
        const images = [0, 128, 255].map((level) => new Uint8Array(12).fill(level));
        const found = await Promise.all(images.map((pixels) => model.embedPixels(pixels)));
        const answer = {{provider: model.provider, vectors: found.map((one) => Array.from(one.vector))}};
        answer.space = found[0].spaceId;
        await HeteroModel.load({{...options, providers: ['webgpu']}}).catch((error) => (answer.error = error.message));
        """,
        tmp_path,
    )
    assert made["provider"] == "wasm"
    assert made["vectors"] == [[-1, -1, -1, 127 / 128], [0, 0, 0, 127 / 128], [127 / 128] * 4]
    assert made["space"] == contract.space.space_id
    assert made["error"] == "no provider runs the model: webgpu: no such accelerator"


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_application_in_chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    """Pixels of all golden files, vectors, the ten nearest, the self-test, and the refusal of another space."""
    contract, bundle = lay_out_application(tmp_path, format)
    goldens = golden_files(bundle)
    queries = sorted((tmp_path / "queries").iterdir())
    wasm = {"onnx": "./npm/onnxruntime-web/dist/", "litert": "./npm/@litertjs/core/wasm/"}[format]
    script = f"""
        import {{Gallery}} from './app/gallery.mjs';
        import {{HeteroModel}} from './app/model.mjs';
        import {{pixelsOf}} from './app/pixels.mjs';
        import {{selfTest}} from './app/self_test.mjs';
        const content = async (name) => (await fetch(name)).arrayBuffer();
        async function run() {{
          const wasmPaths = new URL('{wasm}', location.href).href;
          const providers = ['none', 'wasm'];
          const model = await HeteroModel.load({{contractUrl: './contract.json', providers, wasmPaths}});
          const answer = {{provider: model.provider, pixels: [], vectors: [], found: [], test: await selfTest(model)}};
          for (const [name, type] of await (await fetch('kinds.json')).json()) {{
            const file = new Blob([await content(name)], {{type}});
            answer.pixels.push(Array.from(await pixelsOf(file, model.contract.preprocessing)));
          }}
          const gallery = Gallery.parse(await content('gallery.safetensors'));
          for (const name of {json.dumps([path.name for path in queries])}) {{
            const query = await model.embed(new Blob([await content('queries/' + name)]));
            answer.vectors.push(Array.from(query.vector));
            answer.found.push(gallery.search(query, 10).map((hit) => hit.name));
          }}
          const other = Gallery.parse(await content('other.safetensors'));
          try {{
            other.search(await model.embed(new Blob([await content('queries/000.png')])), 10);
          }} catch (error) {{
            answer.refusal = [error.constructor.name, error.message];
          }}
          return answer;
        }}
    """
    code = reference_code(contract, "javascript")
    served: dict[str, bytes | Path] = {f"app/{name}": text.encode() for name, text in code.items()}
    served |= {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    served |= {f"golden/{number}": one.path for number, one in enumerate(goldens)}
    kinds = [(f"golden/{number}", _TYPES[one.path.suffix]) for number, one in enumerate(goldens)]
    served["kinds.json"] = json.dumps(kinds).encode()
    answer = answer_of(script, served, tmp_path)
    assert answer["provider"] == "wasm"
    assert answer["test"]["passed"]
    off = {
        one.kind: np.abs(np.array(made, int).reshape(one.pixels.shape) - one.pixels).max()
        for one, made in zip(goldens, answer["pixels"], strict=True)
    }
    assert {kind: levels for kind, levels in off.items() if levels} == {}
    with engine({"onnx": "onnxruntime", "litert": "litert"}[format])(str(tmp_path / contract.model), {}) as runtime:
        expected = np.concatenate([runtime.run(decode(path, bundle.preprocessing)[None]) for path in queries])
    np.testing.assert_allclose(np.array(answer["vectors"]), expected, atol=1e-6)
    assert answer["found"] == expected_top(bundle, expected)
    assert answer["refusal"][0] == "SpaceMismatchError"
    assert bundle.space.space_id in answer["refusal"][1]
