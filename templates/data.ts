/**
 * Images of your own, from wherever they come. Try it, then change it:
 *
 *     npx ablate data show FILE                      how many images of each class
 *     npx ablate train tuto --data FILE --epochs 20  trains on them
 *
 * A run keeps a copy of this file. What it returns decides whether images are the same: a run is continued only with the same ones.
 */
import { defineDataset } from 'ablate';

const [height, width] = [32, 32];

/** Stripes in both directions, under noise: replace this by what reads your files. */
function drawImages(count: number, seed: number) {
  // Of each image, row by row, each pixel's red, green and blue side by side.
  const images = new Uint8Array(count * height * width * 3);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  let state = seed;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  labels.forEach((label, image) => {
    const shift = Math.floor(random() * 8);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const bright = ((label === 0 ? x : y) + shift) % 8 < 4 ? 170 : 60;
        for (let colour = 0; colour < 3; colour++) {
          images[((image * height + y) * width + x) * 3 + colour] = bright + random() * 80;
        }
      }
    }
  });
  return { images, labels };
}

export default defineDataset({
  name: 'NAME',
  // A label is the place of its class in this list.
  classes: ['vertical', 'horizontal'],
  height,
  width,
  // 1 for grey images: one byte for each pixel.
  channels: 3,
  // Called once each; async functions may wait for what they read.
  train: () => drawImages(200, 1),
  test: () => drawImages(50, 2),
});
