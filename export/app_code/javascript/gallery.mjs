// A gallery on the device, searched exactly, by a dot product with every vector, unless it has an index: `nearest`, a
// function of a vector and a count that returns rows. The gallery checks the space and scores these rows by itself.

export class SpaceMismatchError extends Error {}

export function requireSameSpace(gallery, query) {
  if (gallery === query) return;
  throw new SpaceMismatchError(
    `the gallery holds vectors of the space ${gallery}, the query is one of ${query}: their similarity means nothing`,
  );
}

export class Gallery {
  // vectors: a Float32Array of names.length * dimension numbers; each vector has length one.
  constructor({spaceId, dimension, names, vectors, nearest = null}) {
    if (vectors.length !== names.length * dimension) {
      throw new Error(`expected ${names.length} vectors of ${dimension} numbers, got ${vectors.length} numbers`);
    }
    Object.assign(this, {spaceId, dimension, names, vectors, nearest});
  }

  // content: the ArrayBuffer of a file that `hetero embed` wrote.
  static parse(content) {
    const size = Number(new DataView(content).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 8, size)));
    const {names, space} = JSON.parse(header.__metadata__.hetero);
    const {dtype, shape, data_offsets: [start, end]} = header.embeddings;
    if (dtype !== 'F32') throw new Error(`expected vectors of F32, got ${dtype}`);
    const vectors = new Float32Array(content.slice(8 + size + start, 8 + size + end));
    return new Gallery({spaceId: space.space_id, dimension: shape[1], names, vectors});
  }

  // query: {spaceId, vector}, as HeteroModel.embed gives it. Returns {name, similarity}, best first.
  search(query, count) {
    requireSameSpace(this.spaceId, query.spaceId);
    if (query.vector.length !== this.dimension) {
      throw new Error(`expected a vector of ${this.dimension} numbers, got ${query.vector.length}`);
    }
    const rows = Array.from(this.nearest?.(query.vector, count) ?? this.names.keys());
    const scored = rows.map((row) => ({row, name: this.names[row], similarity: this.#similarity(row, query.vector)}));
    scored.sort((a, b) => b.similarity - a.similarity || a.row - b.row);
    return scored.slice(0, count).map(({name, similarity}) => ({name, similarity}));
  }

  #similarity(row, vector) {
    const start = row * this.dimension;
    let sum = 0;
    for (let i = 0; i < this.dimension; i++) sum += this.vectors[start + i] * vector[i];
    return sum;
  }
}
