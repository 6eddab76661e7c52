/** Height and width of images in pixels, as configurations and files say them: one number where both are the same. */

export type ImageSize = number | readonly [height: number, width: number];

/**
 * Longest side in pixels that images are stored with and networks see. At 512, a batch of 128 images takes 400 MB as the input of a network alone,
 * and 10,000 of them 8 GB as bytes, which are held in memory.
 */
export const longestSide = 512;

export function sidesOf(size: ImageSize): readonly [height: number, width: number] {
  return typeof size === 'number' ? [size, size] : size;
}

/** The one way in which a size is recorded, so that equal sizes are equal values. */
export function imageSize(height: number, width: number): ImageSize {
  return height === width ? height : [height, width];
}

/** `96x128`, the height first as in all shapes. */
export function formatSize(size: ImageSize): string {
  return sidesOf(size).join('x');
}

/** `96`, or `96x128`: as a configuration has it. */
export function sizeAsGiven(size: ImageSize): string {
  return typeof size === 'number' ? String(size) : formatSize(size);
}

/** What a configuration may say of the network's input, beside a size: the whole image, or the crop of the recipes of 2017 and later. */
export type InputSizeRule = 'full' | 'crop';

/**
 * The size of a network's input for images of a size. `crop` is three quarters of each side, rounded: 24 of the 32 pixels of CIFAR-10, as in 2017.
 *
 * @param sides of the images
 */
export function inputSizeFor(asked: ImageSize | InputSizeRule, [height, width]: readonly [number, number]): ImageSize {
  if (asked === 'full') return imageSize(height, width);
  if (asked === 'crop') return imageSize(Math.round(0.75 * height), Math.round(0.75 * width));
  return imageSize(...sidesOf(asked));
}

/** Reads `96` and `96x128`; undefined for anything else. */
export function parseSize(text: string): ImageSize | undefined {
  const [, height, width] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (height === undefined) return undefined;
  return imageSize(Number(height), Number(width ?? height));
}
