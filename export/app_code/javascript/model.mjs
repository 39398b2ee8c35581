// A model with its contract: images in, vectors of one embedding space out. Use it in a Web Worker: then neither
// resizing nor the model keeps the page waiting.

import {format, load} from './engine.mjs';
import {pixelsOf} from './pixels.mjs';

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

export class HeteroModel {
  #engine;
  #last = Promise.resolve();

  constructor(contract, engine, provider, url) {
    Object.assign(this, {contract, provider, url});
    this.#engine = engine;
  }

  // contractUrl: contract.json. modelUrl: the model's file; where the contract says by default. providers: tried in
  // turn, until one loads the model and embeds a first image. wasmPaths: folder of the runtime's WebAssembly files.
  static async load({contractUrl, modelUrl, providers = ['wasm'], threads = 1, wasmPaths}) {
    const url = new URL(contractUrl, globalThis.location?.href);
    const contract = await (await fetched(url)).json();
    if (contract.schema !== 'hetero/app/1') throw new Error(`${url} is no contract of the kind hetero/app/1`);
    if (contract.format !== format) throw new Error(`engine.mjs runs ${format}, the contract is of ${contract.format}`);
    const model = new Uint8Array(await (await fetched(new URL(modelUrl ?? contract.model, url))).arrayBuffer());
    const failures = [];
    for (const provider of providers) {
      try {
        const engine = await load(model, contract, {provider, threads, wasmPaths});
        const loaded = new HeteroModel(contract, engine, provider, url);
        await loaded.embedPixels(new Uint8Array(contract.input.shape.reduce((size, side) => size * (side || 1), 1)));
        return loaded;
      } catch (error) {
        failures.push(`${provider}: ${error?.message ?? error}`);
      }
    }
    throw new Error(`no provider runs the model: ${failures.join('; ')}`);
  }

  // Returns {spaceId, vector} of an image: a Blob, an ImageBitmap, or RGBA pixels such as ImageData.
  async embed(image) {
    return this.embedPixels(await pixelsOf(image, this.contract.preprocessing));
  }

  // pixels: RGB bytes of the model's own size, row by row. A model runs one image at a time: calls wait for each other.
  embedPixels(pixels) {
    const answer = this.#last.then(() => this.#engine.run(pixels));
    this.#last = answer.catch(() => {});
    return answer.then((values) => ({spaceId: this.contract.space.space_id, vector: this.#scaled(values)}));
  }

  close() {
    this.#engine.close();
  }

  #scaled(values) {
    const {scale, zero_point: zero} = this.contract.output;
    return Float32Array.from(values, scale ? (byte) => scale * (byte - zero) : undefined);
  }
}
