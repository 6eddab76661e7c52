/**
 * Scales a picture to the images that a network was trained on: the largest centred square, scaled to `size` x `size`. Plain arithmetic
 * in a fixed order, so that Node and browsers get the same bytes from the same pixels; libraries and canvases each scale their own way.
 */

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 3: RGB. 4: RGBA, of which A is ignored. */
  readonly channels: 3 | 4;
  /** `[height, width, channels]`, 0-255. */
  readonly samples: Uint8Array | Uint8ClampedArray;
}

/** What one output row or column is made of: source positions from `first` on, with weights that add up to one. */
interface Mixture {
  readonly first: number;
  readonly weights: Float64Array;
}

/**
 * The central square of a picture as `[size, size, 3]` bytes. A picture of exactly that size is copied; others are filtered with a
 * triangle as wide as two output pixels (or two input pixels, where it is enlarged): what "bilinear with antialiasing" means elsewhere.
 */
export function fitToSquare(picture: Picture, size: number): Uint8Array {
  const { width, height, channels, samples } = picture;
  const side = Math.min(width, height);
  const columns = mixtures(Math.floor((width - side) / 2), side, size);
  const rows = mixtures(Math.floor((height - side) / 2), side, size);
  const top = rows[0]!.first;
  const last = rows[size - 1]!;
  const bottom = last.first + last.weights.length;

  // First along the rows, then along the columns.
  const narrow = new Float64Array((bottom - top) * size * 3);
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < size; x++) {
      const { first, weights } = columns[x]!;
      const target = ((y - top) * size + x) * 3;
      for (let i = 0; i < weights.length; i++) {
        const source = (y * width + first + i) * channels;
        const weight = weights[i]!;
        for (let channel = 0; channel < 3; channel++) narrow[target + channel]! += weight * samples[source + channel]!;
      }
    }
  }
  const rowLength = size * 3;
  const output = new Uint8Array(size * rowLength);
  for (let y = 0; y < size; y++) {
    const { first, weights } = rows[y]!;
    for (let x = 0; x < rowLength; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i]! * narrow[(first - top + i) * rowLength + x]!;
      output[y * rowLength + x] = Math.floor(sum + 0.5);
    }
  }
  return output;
}

/** How `size` outputs are made of the `side` inputs from `start` on. */
function mixtures(start: number, side: number, size: number): Mixture[] {
  const scale = side / size;
  const reach = Math.max(scale, 1);
  return Array.from({ length: size }, (_, output) => {
    const centre = (output + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const end = Math.min(side, Math.ceil(centre + reach));
    const weights = Float64Array.from({ length: end - first }, (__, i) =>
      Math.max(0, 1 - Math.abs(first + i + 0.5 - centre) / reach),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first: start + first, weights: weights.map((weight) => weight / sum) };
  });
}
