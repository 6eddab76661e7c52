/** The weights among a checkpoint's tensors, wherever these are: nothing here reads a file. */
import { DataError } from '../util/errors.ts';
import type { Tensor } from './safetensors.ts';

export const checkpointFormat = 'ablate-checkpoint-1';

/**
 * The weights of a network by parameter name. `ema`: their moving averages, of which a checkpoint has one for every parameter, running
 * statistics included.
 *
 * @param source What to call the checkpoint in errors.
 * @throws DataError if moving averages are asked for and the checkpoint has none, or not those of every parameter.
 */
export function checkpointWeights(
  checkpoint: { readonly tensors: ReadonlyMap<string, Tensor> },
  kind: 'ema' | 'raw',
  source: string,
): Map<string, Tensor> {
  const { tensors } = checkpoint;
  const weights = [...tensors].filter(([name]) => !/^(ema|opt|mask)\./.test(name));
  if (kind === 'raw') return new Map(weights);
  const averages = weights.map(([name]) => [name, tensors.get(`ema.${name}`)] as const);
  const missing = averages.filter(([, average]) => average === undefined).map(([name]) => `ema.${name}`);
  if (missing.length === 0) return new Map(averages as [string, Tensor][]);
  if (missing.length === weights.length) {
    throw new DataError(`${source} has no moving averages of the weights`, { fix: '--weights raw' });
  }
  throw new DataError(`${source} lacks moving averages of some weights: ${missing.slice(0, 4).join(', ')}`, {
    fix: '--weights raw, or an earlier checkpoint',
  });
}
