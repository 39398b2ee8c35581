// The contract's model in LiteRT for Web.

import {loadAndCompile, loadLiteRt, Tensor} from '@litertjs/core';

let runtime = null;

export const format = 'litert';

// provider: 'wasm', 'webgpu' or 'webnn'. threads: more than one needs a page that is cross-origin isolated.
export async function load(model, contract, {provider, threads, wasmPaths}) {
  runtime ??= loadLiteRt(wasmPaths, {threads: threads > 1});
  await runtime;
  const compiled = await loadAndCompile(model, {accelerator: provider, cpuOptions: {numThreads: threads}});
  return {
    async run(pixels) {
      const image = new Tensor(pixels, contract.input.shape);
      const [answer] = await compiled.run([image]);
      try {
        return (await answer.data()).slice();
      } finally {
        answer.delete();
        image.delete();
      }
    },
    close: () => compiled.delete(),
  };
}
