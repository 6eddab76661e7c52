/** The filters of a first convolution as pictures: what it looks for. */
import type { Raster } from '../../runs/png.ts';
import type { Safetensors } from '../../runs/safetensors.ts';
import { DataError } from '../../util/errors.ts';

/**
 * The filters of a layer, each stretched from its own least to its own greatest weight. Moving averages where the file has them.
 *
 * @param layer a convolution that sees the picture itself, of one or three channels
 * @param source what to call the file in errors
 * @throws DataError if there are no such weights, or they see another number of channels
 */
export function filterRasters({ tensors }: Pick<Safetensors, 'tensors'>, layer: string, source: string): Raster[] {
  const name = `${layer}.weight`;
  const tensor = tensors.get(`ema.${name}`) ?? tensors.get(name);
  if (tensor === undefined)
    throw new DataError(`${source} has no weights ${name}`, { fix: 'name a convolution of this network' });
  const [filters, channels, height, width] = tensor.shape;
  if (tensor.shape.length !== 4 || (channels !== 1 && channels !== 3)) {
    throw new DataError(`the filters of ${layer} cannot be shown as pictures: their weights are [${tensor.shape.join(', ')}]`, {
      fix: 'name a convolution that sees the picture itself',
    });
  }
  const size = channels * height! * width!;
  return Array.from({ length: filters! }, (_, i) =>
    stretched(tensor.data.subarray(i * size, (i + 1) * size), channels, height!, width!),
  );
}

/** @param values `[channels, height, width]` */
function stretched(values: Float32Array, channels: 1 | 3, height: number, width: number): Raster {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  const scale = greatest > least ? 255 / (greatest - least) : 0;
  const samples = new Uint8Array(values.length);
  const plane = height * width;
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < plane; i++) samples[i * channels + channel] = Math.round((values[channel * plane + i]! - least) * scale);
  }
  return { width, height, channels, samples };
}
