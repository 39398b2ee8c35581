// PNG files, read to the last bit as the contract asks. A browser's own decoder hands over the high byte of 16 bits,
// and a canvas rounds the colours of what is transparent.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6;
const CHANNELS = {[GREY]: 1, [RGB]: 3, [PALETTE]: 1, [GREY_ALPHA]: 2, [RGBA]: 4};

function chunksOf(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const chunks = [];
  for (let at = SIGNATURE.length; at + 12 <= file.length;) {
    const size = view.getUint32(at);
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    chunks.push({kind, data: file.subarray(at + 8, at + 8 + size)});
    at += 12 + size;
  }
  return chunks;
}

async function inflated(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function nearest(left, up, corner) {
  const p = left + up - corner;
  const a = Math.abs(p - left), b = Math.abs(p - up), c = Math.abs(p - corner);
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function guessed(filter, left, up, corner) {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  return filter === 4 ? nearest(left, up, corner) : 0;
}

// Undoes the filters of PNG's rows, each with its kind in front (PNG specification, section 9).
function unfiltered(data, row, height, step) {
  if (data.length < (row + 1) * height) throw new Error('a PNG file that ends too early');
  const made = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x >= step ? made[at - step] : 0, up = y ? made[at - row] : 0;
      const corner = x >= step && y ? made[at - row - step] : 0;
      made[at] = data[y * (row + 1) + 1 + x] + guessed(filter, left, up, corner);
    }
  }
  return made;
}

// The ground shows through, with the rounding of Pillow's Image.alpha_composite.
function over(value, ground, alpha) {
  const sum = 128 * (value * alpha + ground * (255 - alpha) + 128);
  return (((sum >> 8) + sum) >> 8) >> 7;
}

function level(value, [low, high]) {
  return Math.max(0, Math.min(255, Math.floor((value - low) / (high - low) * 255 + 0.5)));
}

// Returns a function from pixel to [red, green, blue, alpha], and null for a kind that is not read here.
function reader({depth, colour, palette, keyed, range}, rows, width, row) {
  const channels = CHANNELS[colour];
  const byte = depth === 16 ? 2 : 1;
  const at = (x, y, c) => rows[y * row + (x * channels + c) * byte];
  if (colour === PALETTE || depth < 8) {
    const most = (1 << depth) - 1;
    const sample = (x, y) => (rows[y * row + ((x * depth) >> 3)] >> (8 - depth - ((x * depth) & 7))) & most;
    if (colour === PALETTE) {
      return (x, y) => {
        const index = sample(x, y);
        return [...palette.subarray(3 * index, 3 * index + 3), keyed?.[index] ?? 255];
      };
    }
    return keyed ? null : (x, y) => new Array(3).fill(sample(x, y) * 255 / most).concat(255);
  }
  if (colour === GREY && depth === 16) {
    return (x, y) => {
      const value = range ? level(at(x, y, 0) * 256 + rows[y * row + 2 * x + 1], range) : at(x, y, 0);
      return [value, value, value, 255];
    };
  }
  if (keyed && depth === 16) return null;
  const hidden = (pixel) => keyed && pixel.every((value, c) => value === keyed[2 * c] * 256 + keyed[2 * c + 1]);
  if (colour === GREY) return (x, y) => [at(x, y, 0), at(x, y, 0), at(x, y, 0), hidden([at(x, y, 0)]) ? 0 : 255];
  if (colour === GREY_ALPHA) return (x, y) => [at(x, y, 0), at(x, y, 0), at(x, y, 0), at(x, y, 1)];
  if (colour === RGBA) return (x, y) => [at(x, y, 0), at(x, y, 1), at(x, y, 2), at(x, y, 3)];
  return (x, y) => {
    const pixel = [at(x, y, 0), at(x, y, 1), at(x, y, 2)];
    return [...pixel, hidden(pixel) ? 0 : 255];
  };
}

// file: a Uint8Array. Returns {data: RGBA bytes on the contract's ground, width, height}, and null for a file that the
// browser has to read: no PNG, interlaced, turned, or transparent in a way that hardly any file is.
export async function decodePng(file, {pad_value: ground, grey_range: range}) {
  if (!SIGNATURE.every((byte, at) => file[at] === byte)) return null;
  const chunks = chunksOf(file);
  const named = (kind) => chunks.find((chunk) => chunk.kind === kind)?.data;
  const header = chunks[0].data, view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const width = view.getUint32(0), height = view.getUint32(4);
  const [depth, colour, , , interlaced] = header.subarray(8);
  const bits = depth * CHANNELS[colour], row = Math.ceil(width * bits / 8);
  const parts = chunks.filter((chunk) => chunk.kind === 'IDAT').map((chunk) => chunk.data);
  const plain = !interlaced && !named('eXIf');
  const kind = {depth, colour, palette: named('PLTE'), keyed: named('tRNS'), range};
  const rows = plain ? unfiltered(await inflated(parts), row, height, Math.max(1, bits >> 3)) : null;
  const read = plain ? reader(kind, rows, width, row) : null;
  if (!read) {
    if (range && colour === GREY && depth === 16) throw new Error('interlaced or turned 16-bit grey PNG');
    return null;
  }
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const pixel = read(x, y);
      for (let c = 0; c < 3; c++) data[at + c] = over(pixel[c], ground, pixel[3]);
    }
  }
  return {data, width, height};
}
