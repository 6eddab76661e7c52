/** What commands that train a network further change of the configuration it was trained with. */
import type { ConfigOverrides } from '../train/config-schema.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { Assignments } from './options.ts';

export interface OverrideOptions {
  readonly data?: string;
  readonly threads?: number;
  readonly set: Assignments;
}

/** Keys that the commands' own options decide, and those of the network. */
const decidedKeys = /^(steps|init|pruning(\..*)?|model(Settings)?(\..*)?)$/;

/** Keys that would not do what they say, by what to do instead. */
const otherWays = new Map([
  ['dataset', 'give the images with --data <name>'],
  ['recipe', 'set each key of the recipe that is to change, for example --set learningRate=0.01'],
]);

/** @throws ConfigurationError for a key that `--set` may not change there */
export async function trainingOverrides({ data, threads, set }: OverrideOptions): Promise<ConfigOverrides> {
  const { setKey } = await import('../train/config.ts');
  const decided = Object.keys(set).find((key) => decidedKeys.test(key));
  if (decided !== undefined)
    throw new ConfigurationError(`${decided} cannot be set here: the network and the other options decide it`);
  const elsewhere = Object.keys(set).find((key) => otherWays.has(key));
  if (elsewhere !== undefined) {
    throw new ConfigurationError(`${elsewhere} cannot be set here: that would change what is recorded, not the training`, {
      fix: otherWays.get(elsewhere)!,
    });
  }
  const given: ConfigOverrides = {
    ...(data !== undefined && { dataset: data }),
    ...(threads !== undefined && { threads }),
  };
  return Object.entries(set).reduce((overrides, [key, value]) => setKey(overrides, key, value), given);
}
