// What an application runs once after it is installed or its model was replaced: the images that came with the contract
// must give the vectors that came with them, decoded, resized and embedded on this device.

function cosine(a, b) {
  let dot = 0, own = 0, other = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    own += a[i] * a[i];
    other += b[i] * b[i];
  }
  return dot / Math.sqrt(own * other);
}

// Returns {passed, cosines, least}; nothing that the model gives is to be used unless it passed.
export async function selfTest(model) {
  const {self_test: cases, least_cosine: least} = model.contract;
  const content = async (name) => {
    const response = await fetch(new URL(name, model.url));
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    return response;
  };
  const cosines = [];
  for (const {image, vector} of cases) {
    const expected = new Float32Array(await (await content(vector)).arrayBuffer());
    const embedded = await model.embed(await (await content(image)).blob());
    cosines.push(embedded.vector.length === expected.length ? cosine(embedded.vector, expected) : -1);
  }
  return {passed: cosines.length > 0 && cosines.every((value) => value >= least), cosines, least};
}
