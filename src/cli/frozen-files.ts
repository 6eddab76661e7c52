/** What the commands that write frozen files have in common. */
import type { SavedModel } from '../train/saved-model.ts';
import type { WeightsKind } from '../train/weights.ts';
import { ConfigurationError } from '../util/errors.ts';

/**
 * Reads the option `--weights`; without it, what the file has.
 *
 * @throws ConfigurationError if it is neither `ema` nor `raw`
 */
export async function weightsKind(saved: SavedModel, given: string | undefined): Promise<WeightsKind> {
  const { preferredWeights, weightsKinds } = await import('../train/weights.ts');
  if (given === undefined) return preferredWeights(saved.file);
  const kind = weightsKinds.find((each) => each === given);
  if (kind === undefined) throw new ConfigurationError(`weights (=${given}) must be one of ${weightsKinds.join(', ')}`);
  return kind;
}
