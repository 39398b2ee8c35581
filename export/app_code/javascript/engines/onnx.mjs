// The contract's model in ONNX Runtime Web. The application maps `onnxruntime-web` to the build that it ships, for
// instance `ort.webgpu.min.mjs` where 'webgpu' is among the providers.

import * as ort from 'onnxruntime-web';

export const format = 'onnx';

// provider: 'wasm', 'webgpu' or 'webnn'. threads: more than one needs a page that is cross-origin isolated.
export async function load(model, contract, {provider, threads, wasmPaths}) {
  if (wasmPaths) ort.env.wasm.wasmPaths = wasmPaths;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, {executionProviders: [provider]});
  const {input, output} = contract;
  const shape = input.shape.map((side) => side || 1);
  return {
    async run(pixels) {
      const answers = await session.run({[input.name]: new ort.Tensor('uint8', pixels, shape)});
      return answers[output.name].data;
    },
    close: () => session.release(),
  };
}
