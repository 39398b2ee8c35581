// The contract's resizing: antialiased and separable, with the rounding of Pillow's Image.resize, so that an
// application gives the very pixels that the model was trained on.

const FILTERS = {
  bilinear: {support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x))},
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5, t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  },
};
const ONE = 2 ** 22;

// For each target pixel, the first source pixel that counts and the weights from there on.
function weights(source, from, to, target, filter) {
  const scale = Math.fround(to - from) / target;
  const spread = Math.max(1, scale);
  const support = filter.support * spread, step = 1 / spread;
  return Array.from({length: target}, (_, place) => {
    const centre = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(source, Math.trunc(centre + support + 0.5));
    const raw = Array.from({length: last - first}, (_, x) => filter.weight((x + first - centre + 0.5) * step));
    const sum = raw.reduce((a, b) => a + b, 0);
    return {first, taps: raw.map((w) => Math.trunc((w / sum) * ONE + (w < 0 ? -0.5 : 0.5)))};
  });
}

const clamp = (sum) => Math.max(0, Math.min(255, Math.floor((sum + ONE / 2) / ONE)));

// image: {data: RGBA bytes, width, height}; box: [left, top, right, bottom] in source pixels. Returns RGB bytes.
function resample(image, width, height, filter, box) {
  const rows = image.height;
  const across = weights(image.width, box[0], box[2], width, filter);
  const down = weights(rows, box[1], box[3], height, filter);
  const middle = new Uint8Array(rows * width * 3);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      const {first, taps} = across[x];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let t = 0; t < taps.length; t++) sum += image.data[(y * image.width + first + t) * 4 + c] * taps[t];
        middle[(y * width + x) * 3 + c] = clamp(sum);
      }
    }
  }
  const made = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const {first, taps} = down[y];
    for (let i = 0; i < width * 3; i++) {
      let sum = 0;
      for (let t = 0; t < taps.length; t++) sum += middle[(first + t) * width * 3 + i] * taps[t];
      made[y * width * 3 + i] = clamp(sum);
    }
  }
  return made;
}

// Python rounds halves to even.
function round(value) {
  const near = Math.round(value);
  return Math.abs(value % 1) === 0.5 && near % 2 ? near - 1 : near;
}

// Fits RGBA pixels to the model's input as a bundle's preprocess.json says. Returns RGB bytes, row by row.
export function fit(image, contract) {
  const {width, height, resize, pad_value: grey} = contract;
  const filter = FILTERS[contract.filter];
  const whole = [0, 0, image.width, image.height];
  if (resize === 'squash' || image.width * height === image.height * width) {
    return resample(image, width, height, filter, whole);
  }
  if (resize === 'crop') {
    const scale = Math.min(image.width / width, image.height / height);
    const w = Math.min(width * scale, image.width), h = Math.min(height * scale, image.height);
    const left = (image.width - w) / 2, top = (image.height - h) / 2;
    // Pillow keeps a box in single precision.
    return resample(image, width, height, filter, [left, top, left + w, top + h].map(Math.fround));
  }
  const scale = Math.min(width / image.width, height / image.height);
  const w = Math.max(1, round(image.width * scale)), h = Math.max(1, round(image.height * scale));
  const inner = resample(image, w, h, filter, whole);
  const made = new Uint8Array(height * width * 3).fill(grey);
  const left = Math.floor((width - w) / 2), top = Math.floor((height - h) / 2);
  for (let y = 0; y < h; y++) {
    made.set(inner.subarray(y * w * 3, (y + 1) * w * 3), ((y + top) * width + left) * 3);
  }
  return made;
}
