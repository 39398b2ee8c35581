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

// Returns a function that writes a pixel's red, green, blue and alpha, and null for a kind that is not read here.
function writer({depth, colour, palette, keyed, range}, rows, row, data) {
  const channels = CHANNELS[colour], step = channels * depth >> 3, most = (1 << depth) - 1;
  const bits = (x, y) => (rows[y * row + ((x * depth) >> 3)] >> (8 - depth - ((x * depth) & 7))) & most;
  const grey = (at, value) => { data[at] = data[at + 1] = data[at + 2] = value; };
  if (colour === PALETTE) {
    return (x, y, at) => {
      const index = bits(x, y);
      for (let c = 0; c < 3; c++) data[at + c] = palette[3 * index + c];
      if (keyed && index < keyed.length) data[at + 3] = keyed[index];
    };
  }
  if (colour === GREY && depth === 16) {
    return (x, y, at) => {
      const high = rows[y * row + 2 * x];
      grey(at, range ? level(high * 256 + rows[y * row + 2 * x + 1], range) : high);
    };
  }
  if (keyed && depth !== 8) return null;
  if (depth < 8) return (x, y, at) => grey(at, bits(x, y) * 255 / most);
  const byte = depth >> 3, isGrey = colour === GREY || colour === GREY_ALPHA;
  const hasAlpha = colour === GREY_ALPHA || colour === RGBA;
  return (x, y, at) => {
    const from = y * row + x * step;
    if (isGrey) grey(at, rows[from]);
    else for (let c = 0; c < 3; c++) data[at + c] = rows[from + c * byte];
    if (hasAlpha) data[at + 3] = rows[from + step - byte];
    else if (keyed && hides(keyed, rows, from, channels)) data[at + 3] = 0;
  };
}

function hides(keyed, rows, from, channels) {
  for (let c = 0; c < channels; c++) if (keyed[2 * c] * 256 + keyed[2 * c + 1] !== rows[from + c]) return false;
  return true;
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
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  const rows = plain ? unfiltered(await inflated(parts), row, height, Math.max(1, bits >> 3)) : null;
  const write = plain ? writer(kind, rows, row, data) : null;
  if (!write) {
    if (range && colour === GREY && depth === 16) throw new Error('interlaced or turned 16-bit grey PNG');
    return null;
  }
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      write(x, y, at);
      const alpha = data[at + 3];
      if (alpha === 255) continue;
      for (let c = 0; c < 3; c++) data[at + c] = over(data[at + c], ground, alpha);
      data[at + 3] = 255;
    }
  }
  return {data, width, height};
}
