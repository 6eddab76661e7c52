/** Images of data sets, filters and activations as rasters. */
import type { ImageSet } from '../../data/dataset.ts';
import type { Raster } from '../../runs/png.ts';

/** One image of a set, of one or three channels. */
export function imageRaster(
  { images }: Pick<ImageSet, 'images'>,
  position: number,
  shape: readonly [number, number, number],
): Raster {
  const [channels, height, width] = shape;
  const plane = height * width;
  const samples = new Uint8Array(channels * plane);
  const first = position * channels * plane;
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < plane; i++) samples[i * channels + channel] = images[first + channel * plane + i]!;
  }
  return { width, height, channels: channels === 1 ? 1 : 3, samples };
}

/** Each pixel as a square of `factor` x `factor`: programs that show pictures smooth small ones away. */
export function enlarged({ width, height, channels, samples }: Raster, factor: number): Raster {
  const large = new Uint8Array(samples.length * factor * factor);
  for (let y = 0; y < height * factor; y++) {
    for (let x = 0; x < width * factor; x++) {
      const source = (Math.floor(y / factor) * width + Math.floor(x / factor)) * channels;
      const target = (y * width * factor + x) * channels;
      for (let channel = 0; channel < channels; channel++) large[target + channel] = samples[source + channel]!;
    }
  }
  return { width: width * factor, height: height * factor, channels, samples: large };
}

/**
 * One plane of numbers in grey: `low` is black, `high` white.
 *
 * @param values `[height, width]`
 */
export function greyRaster(values: Float64Array, [height, width]: readonly [number, number], low: number, high: number): Raster {
  const scale = high > low ? 255 / (high - low) : 0;
  const samples = Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round((value - low) * scale))));
  return { width, height, channels: 1, samples };
}

/** Rasters of one size as one, each below the one before. At least one. */
export function stacked(rasters: readonly Raster[]): Raster {
  const { width, height, channels } = rasters[0]!;
  const samples = new Uint8Array(rasters.length * width * height * channels);
  rasters.forEach((raster, i) => {
    samples.set(raster.samples, i * width * height * channels);
  });
  return { width, height: rasters.length * height, channels, samples };
}
