"""The web: an npm package."""

from __future__ import annotations

import json
from collections.abc import Mapping

from export.app.contract import AppContract
from export.packaging.platform import Platform

_INDEX = """\
export * from './src/gallery.mjs';
export * from './src/model.mjs';
export * from './src/self_test.mjs';

// Where HeteroModel.load finds contract.json, and beside it the model.
export const contractUrl = new URL('./hetero/contract.json', import.meta.url);
"""

_TYPES = """\
export interface Embedding { spaceId: string; vector: Float32Array }
export interface Contract {
  name: string;
  model: string;
  precision: string;
  space: { space_id: string; name: string; version: string; dimension: number };
  [key: string]: unknown;
}

export const contractUrl: URL;

export class HeteroModel {
  static load(options: {
    contractUrl: URL | string;
    modelUrl?: URL | string;
    providers?: ('wasm' | 'webgpu' | 'webnn')[];
    threads?: number;
    wasmPaths?: string;
  }): Promise<HeteroModel>;
  readonly contract: Contract;
  readonly provider: string;
  embed(image: Blob | ImageBitmap | ImageData): Promise<Embedding>;
  embedPixels(pixels: Uint8Array): Promise<Embedding>;
  close(): void;
}

export class SpaceMismatchError extends Error {}

export class Gallery {
  constructor(content: { spaceId: string; dimension: number; names: string[]; vectors: Float32Array });
  static parse(content: ArrayBuffer): Gallery;
  search(query: Embedding, count: number): { name: string; similarity: number }[];
}

export function selfTest(model: HeteroModel): Promise<{ passed: boolean; cosines: number[]; least: number }>;
"""


def _files(contract: AppContract, code: Mapping[str, str]) -> Mapping[str, str]:
    package = {
        "name": f"hetero-{contract.name.lower()}",
        "version": "0.0.0",
        "exports": "./index.js",
        "types": "./index.d.ts",
        **json.loads(code["package.json"]),
    }
    return {"package.json": json.dumps(package, indent=2) + "\n", "index.js": _INDEX, "index.d.ts": _TYPES}


WEB = Platform(
    name="web",
    formats=("onnx", "litert"),
    language="javascript",
    code="src",
    resources="hetero",
    model="hetero",
    files=_files,
    folder="contractUrl",
)
