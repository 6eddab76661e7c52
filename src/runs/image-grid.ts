/** Shows a batch of network inputs as one image, so that one can see what the network sees. */
import { encodePng, type Raster } from './png.ts';

export interface GridOptions {
  /** Images in a row; default: as many as make the grid about square. */
  readonly columns?: number;
  /** Black pixels between images. Default 1. */
  readonly gap?: number;
}

/** A grid of images. */
export interface ImageGrid {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1: grey, 3: RGB. */
  readonly channels: 1 | 3;
}

/**
 * A grid of images, each stretched from its own least and greatest value to 0-255, as standardized inputs have no range.
 *
 * @param images `[N, C, H, W]`, finite, C 1 (shown grey) or 3 (RGB), N at least 1.
 * @throws RangeError if the shape is another.
 */
export function imageGrid(
  images: Float32Array,
  shape: readonly [number, number, number, number],
  options: GridOptions = {},
): ImageGrid {
  const [count, channels, height, width] = shape;
  if ((channels !== 1 && channels !== 3) || count < 1 || images.length !== count * channels * height * width) {
    throw new RangeError(`a grid needs images [N, 1 or 3, H, W]; got [${shape.join(', ')}] with ${images.length} elements`);
  }
  const { columns = Math.ceil(Math.sqrt(count)), gap = 1 } = options;
  const rows = Math.ceil(count / columns);
  const gridWidth = columns * (width + gap) - gap;
  const gridHeight = rows * (height + gap) - gap;
  const grid: Raster = {
    width: gridWidth,
    height: gridHeight,
    channels,
    samples: new Uint8Array(gridWidth * gridHeight * channels),
  };
  const size = channels * height * width;
  for (let index = 0; index < count; index++) {
    const image = images.subarray(index * size, (index + 1) * size);
    const left = (index % columns) * (width + gap);
    const top = Math.floor(index / columns) * (height + gap);
    draw(image, [height, width], grid, left, top);
  }
  return { png: encodePng(grid), width: gridWidth, height: gridHeight, channels };
}

/** Draws one image `[C, H, W]` into the grid's samples. */
function draw(image: Float32Array, [height, width]: readonly [number, number], grid: Raster, left: number, top: number): void {
  const { scale, least } = stretch(image);
  for (let channel = 0; channel < grid.channels; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = image[(channel * height + y) * width + x]!;
        const pixel = (top + y) * grid.width + left + x;
        grid.samples[pixel * grid.channels + channel] = Math.round((value - least) * scale);
      }
    }
  }
}

/** Maps the image's range to 0-255. An image of one value becomes black: 0 times infinity is NaN, which a sample of 8 bits stores as 0. */
function stretch(image: Float32Array): { readonly least: number; readonly scale: number } {
  let least = Infinity;
  let greatest = -Infinity;
  for (const value of image) {
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return { least, scale: 255 / (greatest - least) };
}
