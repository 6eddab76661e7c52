/** What an input's pixels are asked for; pixels.ts has two ways to do it. */

/** `[C, H, W]` of the stored images. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** Of an input. */
export type Sides = readonly [height: number, width: number];

/** Inputs of one size, cut from images of one shape, one at a time. */
export interface PixelPlanes {
  /**
   * Takes the input from the image at `position` of `images` (`[count, C, H, W]`): its pixel (y, x) is the image's pixel
   * (rows[y], columns[x]), in every channel.
   */
  gather(images: Uint8Array, position: number, rows: Int32Array, columns: Int32Array): void;
  /** The exact sum of a channel's pixels and of their squares. */
  sums(channel: number): { readonly sum: number; readonly squares: number };
  /** Writes `[C, height, width]` of the input to `output[offset ...]`: channel c times scales[c] plus shifts[c], in float64, then rounded. */
  writeAffine(scales: Float64Array, shifts: Float64Array, output: Float32Array, offset: number): void;
}
