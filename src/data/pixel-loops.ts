/** Pixels by plain loops, for images and machines of any kind. */
import type { ImageShape, PixelPlanes, Sides } from './pixel-planes.ts';

export function createPixelLoops([channels, height, width]: ImageShape, [inputHeight, inputWidth]: Sides): PixelPlanes {
  const planeLength = inputHeight * inputWidth;
  const planes = new Uint8Array(channels * planeLength);
  return {
    gather(images, position, rows, columns) {
      let target = 0;
      for (let channel = 0; channel < channels; channel++) {
        for (let y = 0; y < inputHeight; y++) {
          const row = ((position * channels + channel) * height + rows[y]!) * width;
          for (let x = 0; x < inputWidth; x++) planes[target++] = images[row + columns[x]!]!;
        }
      }
    },

    sums(channel) {
      let sum = 0;
      let squares = 0;
      for (let i = channel * planeLength; i < (channel + 1) * planeLength; i++) {
        sum += planes[i]!;
        squares += planes[i]! * planes[i]!;
      }
      return { sum, squares };
    },

    writeAffine(scales, shifts, output, offset) {
      for (let channel = 0; channel < channels; channel++) {
        const scale = scales[channel]!;
        const shift = shifts[channel]!;
        for (let i = channel * planeLength; i < (channel + 1) * planeLength; i++) output[offset + i] = planes[i]! * scale + shift;
      }
    },
  };
}
