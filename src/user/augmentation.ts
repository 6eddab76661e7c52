/** Augmentation as a user writes it, in a file or in a program. */
import type { AugmentationImage, AugmentationRandom } from '../data/own-augmentation.ts';
import { requireSettings, type Resolved, type ResolvedSettings, type Setting, type Settings } from '../models/settings.ts';
import { requireDefinition } from '../util/definition.ts';
import { ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';

/** What `apply` may return: nothing, where it has changed the pixels in place, or other pixels. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a function that returns nothing is one of type void.
export type AugmentationResult = Float32Array | undefined | void;

export interface AugmentationDefinition {
  readonly name: string;
  /** By dotted name. */
  readonly settings: Readonly<Record<string, Setting>>;
  /** `settings` must be complete and allowed, as `resolveSettings` returns them. */
  apply(image: AugmentationImage, random: AugmentationRandom, settings: ResolvedSettings): AugmentationResult;
}

export interface AugmentationSource<S extends Settings> {
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  /** What can be varied, by dotted names, each made with `flag`, `count`, `number` or `choice`. */
  readonly settings?: S;
  /**
   * Changes one training image: its `pixels` in place, or by returning others, as many. It must be a function of what it is given, and draw from `random` alone.
   */
  apply(image: AugmentationImage, random: AugmentationRandom, settings: Resolved<S>): AugmentationResult;
}

/**
 * Defines an augmentation.
 *
 * @throws ConfigurationError for a name or a setting that is not allowed, a key that is unknown, and where there is no function
 *
 * @example
 * defineAugmentation({
 *   name: 'noise',
 *   settings: { strength: number(8, 'standard deviation of the noise, of 255', { min: 0 }) },
 *   apply({ pixels }, random, { strength }) {
 *     for (let i = 0; i < pixels.length; i++) pixels[i]! += random.normal(0, strength);
 *   },
 * });
 */
export function defineAugmentation<const S extends Settings = Record<never, never>>(
  source: AugmentationSource<S>,
): AugmentationDefinition {
  const { name, settings = {} as S } = source;
  if (typeof name !== 'string' || !/^[A-Za-z0-9][\w-]*$/.test(name)) {
    throw new ConfigurationError(
      `the name of an augmentation (=${showValue(name)}) must begin with a letter or digit and have only letters, digits, "_" and "-"`,
    );
  }
  requireDefinition('augmentation', source, { apply: 'apply(image, random, settings)' }, { settings: undefined });
  requireSettings(name, settings, 'augmentation');
  return { name, settings, apply: (image, random, resolved) => source.apply(image, random, resolved as Resolved<S>) };
}
