// From an image to the model's pixels, as the contract asks: upright RGB on its ground, without colour profiles.

import {decodePng} from './png.mjs';
import {fit} from './resize.mjs';

const DECODING = {imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none'};

// image: a Blob or File of an encoded image; an ImageBitmap, canvas or video frame; or RGBA pixels such as ImageData.
// Returns RGB bytes, row by row.
export async function pixelsOf(image, preprocessing) {
  if (image.data) return fit(image, preprocessing);
  if (!(image instanceof Blob)) return fit(drawn(image, preprocessing.pad_value), preprocessing);
  const png = await decodePng(new Uint8Array(await image.arrayBuffer()), preprocessing);
  if (png) return fit(png, preprocessing);
  const bitmap = await createImageBitmap(image, DECODING);
  try {
    return fit(drawn(bitmap, preprocessing.pad_value), preprocessing);
  } finally {
    bitmap.close();
  }
}

function drawn(image, ground) {
  const width = image.displayWidth ?? image.width, height = image.displayHeight ?? image.height;
  const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
  context.fillStyle = `rgb(${ground} ${ground} ${ground})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height);
}
