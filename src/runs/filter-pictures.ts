/** The filters of a first convolution as pictures: what it looks for. */
import type { Checkpoint } from './checkpoint.ts';
import { DataError } from '../util/errors.ts';
import { imageGrid, type GridOptions, type ImageGrid } from './image-grid.ts';

/**
 * The filters of a layer as a grid of pictures, each stretched from its own least to its own greatest weight. Moving averages where the
 * checkpoint has them.
 *
 * @param layer a convolution that sees the picture itself, of one or three channels
 * @param source what to call the checkpoint in errors
 * @throws DataError if there are no such weights, or they see more than three channels
 */
export function filterPictures(
  { tensors }: Pick<Checkpoint, 'tensors'>,
  layer: string,
  source: string,
  options: GridOptions = {},
): ImageGrid {
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
  return imageGrid(tensor.data, [filters!, channels, height!, width!], options);
}
