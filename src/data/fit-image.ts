/**
 * Scales a picture to the images that a network was trained on: the largest centred part of their height to width, scaled to their size, in colour
 * or grey as they are. Plain arithmetic in a fixed order, so that Node and browsers get the same bytes from the same pixels; libraries and canvases
 * each scale their own way.
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

/** Part of colour in grey, in thousandths: ITU-R BT.601, of the values as stored. A picture that is grey keeps its values. */
const greyWeights = [299, 587, 114] as const;

/**
 * A picture as `[height, width, channels]` bytes. Nothing is distorted: of a picture that is too wide or too high, both ends are cut off alike. A
 * picture of exactly that size is copied; others are filtered with a triangle as wide as two output pixels (or two input pixels, where it is
 * enlarged): what "bilinear with antialiasing" means elsewhere.
 *
 * @param shape `[C, H, W]` to be had: 1 channel for grey, 3 for colour
 */
export function fitPicture(
  { width, height, channels, samples }: Picture,
  [outputChannels, outputHeight, outputWidth]: readonly [channels: number, height: number, width: number],
): Uint8Array {
  const isWide = width * outputHeight >= height * outputWidth;
  const partWidth = isWide ? Math.max(1, Math.round((height * outputWidth) / outputHeight)) : width;
  const partHeight = isWide ? height : Math.max(1, Math.round((width * outputHeight) / outputWidth));
  const columns = mixtures(Math.floor((width - partWidth) / 2), partWidth, outputWidth);
  const rows = mixtures(Math.floor((height - partHeight) / 2), partHeight, outputHeight);
  const top = rows[0]!.first;
  const last = rows[outputHeight - 1]!;
  const bottom = last.first + last.weights.length;

  // First along the rows, then along the columns.
  const rowLength = outputWidth * 3;
  const narrow = new Float64Array((bottom - top) * rowLength);
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < outputWidth; x++) {
      const { first, weights } = columns[x]!;
      const target = (y - top) * rowLength + x * 3;
      for (let i = 0; i < weights.length; i++) {
        const source = (y * width + first + i) * channels;
        const weight = weights[i]!;
        for (let channel = 0; channel < 3; channel++) narrow[target + channel]! += weight * samples[source + channel]!;
      }
    }
  }
  const colours = new Float64Array(outputHeight * rowLength);
  for (let y = 0; y < outputHeight; y++) {
    const { first, weights } = rows[y]!;
    for (let x = 0; x < rowLength; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i]! * narrow[(first - top + i) * rowLength + x]!;
      colours[y * rowLength + x] = sum;
    }
  }
  return outputChannels === 1 ? grey(colours) : Uint8Array.from(colours, (value) => Math.floor(value + 0.5));
}

/** `[pixels, 3]` as `[pixels]`. */
function grey(colours: Float64Array): Uint8Array {
  return Uint8Array.from({ length: colours.length / 3 }, (_, pixel) => {
    let sum = 0;
    for (let channel = 0; channel < 3; channel++) sum += greyWeights[channel]! * colours[3 * pixel + channel]!;
    return Math.floor(sum / 1000 + 0.5);
  });
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
