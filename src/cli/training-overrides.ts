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
const settledKeys = /^(steps|init|pruning(\..*)?|model(Settings)?(\..*)?)$/;

/** @throws ConfigurationError for a key that `--set` may not change there */
export async function trainingOverrides({ data, threads, set }: OverrideOptions): Promise<ConfigOverrides> {
  const { setKey } = await import('../train/config.ts');
  const settled = Object.keys(set).find((key) => settledKeys.test(key));
  if (settled !== undefined)
    throw new ConfigurationError(`${settled} cannot be set here: the network and the other options decide it`);
  const given: ConfigOverrides = {
    ...(data !== undefined && { dataset: data }),
    ...(threads !== undefined && { threads }),
  };
  return Object.entries(set).reduce((overrides, [key, value]) => setKey(overrides, key, value), given);
}
