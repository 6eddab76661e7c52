/** What a training of a network that is made smaller may change of the configuration that the network was trained with. */
import type { ConfigOverrides } from '../train/config-schema.ts';
import { ConfigurationError } from '../util/errors.ts';

/** Keys that the network and how it is made smaller decide. */
const decidedKeys = /^(steps|init|pruning(\..*)?|model(Settings)?(\..*)?)$/;

/** Keys that would not do what they say, by what to do instead. */
const otherWays = new Map([
  ['dataset', 'give the images with --data <name>'],
  ['recipe', 'set each key of the recipe that is to change, for example --set learningRate=0.01'],
]);

/** @throws ConfigurationError for a key that is decided elsewhere */
export function requireTrainingOverrides(overrides: ConfigOverrides): void {
  for (const key of Object.keys(overrides)) {
    if (decidedKeys.test(key)) {
      throw new ConfigurationError(`${key} cannot be set here: the network and the other options decide it`, { key });
    }
    const fix = otherWays.get(key);
    if (fix === undefined) continue;
    throw new ConfigurationError(`${key} cannot be set here: that would change what is recorded, not the training`, { key, fix });
  }
}
