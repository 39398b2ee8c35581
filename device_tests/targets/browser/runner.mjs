// Runs in the browser: embeds images with one runtime, and hands everything back to the server that served the page.

import {pixelsOf} from './app_code/pixels.mjs';

const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const post = (name, body) => fetch(name, {method: 'POST', body});

async function onnx(job) {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL('./npm/onnxruntime-web/dist/', location.href).href;
  const session = await ort.InferenceSession.create(await bytes('model'), {executionProviders: ['wasm']});
  const [input] = session.inputNames, [output] = session.outputNames;
  return async (image) => {
    const answer = await session.run({[input]: new ort.Tensor('uint8', image, job.image_shape)});
    return Float32Array.from(answer[output].data);
  };
}

async function litert(job) {
  const {loadLiteRt, loadAndCompile, Tensor} = await import('@litertjs/core');
  await loadLiteRt(new URL('./npm/@litertjs/core/wasm/', location.href).href, {threads: false});
  const model = await loadAndCompile(await bytes('model'), {accelerator: 'wasm'});
  return async (image) => {
    const given = new Tensor(image, job.image_shape);
    const [answer] = await model.run([given]);
    // A quantised output is scaled back as its file says.
    const values = Float32Array.from(answer.toTypedArray(), (v) => (v - job.output_zero) * job.output_scale);
    answer.delete();
    given.delete();
    return values;
  };
}

async function pixels(original, contract) {
  return pixelsOf(new Blob([await bytes(original.file)], {type: original.type}), contract);
}

function joined(parts, type) {
  const whole = new type(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function run() {
  const job = await (await fetch('job.json')).json();
  const images = await bytes('images');
  const size = job.image_shape.reduce((a, b) => a * b, 1);
  const image = (row) => images.slice(row * size, (row + 1) * size);
  const start = performance.now();
  const embed = await {'onnxruntime-web': onnx, 'litert-web': litert}[job.runtime](job);
  const load = performance.now() - start;
  for (let i = 0; i < job.warm_up; i++) await embed(image(0));
  const vectors = [], times = [];
  const count = images.length / size;
  for (let row = 0; row < count; row++) {
    const before = performance.now();
    vectors.push(await embed(image(row)));
    times.push((performance.now() - before) / 1000);
    if (row % 16 === 15 || row + 1 === count) await post('progress', JSON.stringify([row + 1, count]));
  }
  const own = [], turned = [], errors = [];
  for (const original of job.originals) {
    const black = new Uint8Array(size);
    const made = await pixels(original, job.contract).then((found) => [found, ''], (error) => [black, String(error)]);
    own.push(made[0]);
    errors.push(made[1]);
    if (original.embed) turned.push(await embed(made[0]));
  }
  await post('embeddings', joined(vectors, Float32Array));
  await post('pixels', joined(own, Uint8Array));
  await post('pixel_embeddings', joined(turned, Float32Array));
  await post('report', JSON.stringify({
    load_seconds: load / 1000,
    latency_seconds: times,
    decode_errors: errors,
    agent: navigator.userAgent,
    viewport: [innerWidth, innerHeight, devicePixelRatio],
  }));
}

addEventListener('unhandledrejection', (event) => post('failed', String(event.reason)));
run().catch((error) => post('failed', String(error)));
