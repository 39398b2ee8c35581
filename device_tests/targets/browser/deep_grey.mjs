// 16-bit grey PNG files by the range that a contract states: a browser's own decoder hands over the high byte only.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

function chunks(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const found = [];
  for (let at = SIGNATURE.length; at + 12 <= file.length;) {
    const size = view.getUint32(at);
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    found.push({kind, data: file.subarray(at + 8, at + 8 + size)});
    at += 12 + size;
  }
  return found;
}

async function inflated(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function nearest(left, up, corner) {
  const p = left + up - corner;
  const [a, b, c] = [left, up, corner].map((v) => Math.abs(p - v));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

// Undoes the filters of PNG's rows, each with its kind in front (PNG specification, section 9).
function unfiltered(data, width, height) {
  const row = 2 * width, made = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x >= 2 ? made[at - 2] : 0, up = y ? made[at - row] : 0, corner = x >= 2 && y ? made[at - row - 2] : 0;
      const guess = [0, left, up, (left + up) >> 1, nearest(left, up, corner)][filter];
      made[at] = data[y * (row + 1) + 1 + x] + guess;
    }
  }
  return made;
}

// Answers {data: RGBA bytes, width, height} of a 16-bit grey PNG, and null for any other file.
export async function deepGrey(file, range) {
  if (!SIGNATURE.every((byte, at) => file[at] === byte)) return null;
  const found = chunks(file);
  const header = found[0].data, view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  if (header[8] !== 16 || header[9] !== 0) return null;
  if (header[12] || found.some((chunk) => chunk.kind === 'eXIf')) throw new Error('interlaced or turned 16-bit grey PNG');
  const packed = found.filter((chunk) => chunk.kind === 'IDAT').map((chunk) => chunk.data);
  const values = unfiltered(await inflated(packed), width, height);
  const [low, high] = range, data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    const value = values[2 * i] * 256 + values[2 * i + 1];
    const level = Math.max(0, Math.min(255, Math.floor((value - low) / (high - low) * 255 + 0.5)));
    data.fill(level, 4 * i, 4 * i + 3);
  }
  return {data, width, height};
}
